<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Contact;
use Demo\Entity\Stage;
use Demo\Record\VersionType;
use Symfony\Bridge\Doctrine\Form\Type\EntityType;
use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\Extension\Core\Type\EnumType;
use Symfony\Component\Form\Extension\Core\Type\IntegerType;
use Symfony\Component\Form\Extension\Core\Type\TextType;
use Symfony\Component\Form\FormBuilderInterface;
use Symfony\Component\OptionsResolver\OptionsResolver;
use Symfony\Component\Validator\Constraints\Length;
use Symfony\Component\Validator\Constraints\NotBlank;
use Symfony\Component\Validator\Constraints\Range;

/** The form of a deal. Its contact must be one of the company's. */
final class DealType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $draft = $builder->getData();
        \assert($draft instanceof DealDraft);
        $builder
            ->add('name', TextType::class, [
                'constraints' => [new NotBlank(message: 'Every deal needs a name.'), new Length(max: 200)],
                'empty_data' => '',
            ])
            ->add('contact', EntityType::class, [
                'class' => Contact::class,
                'choices' => $draft->company->getContacts(),
                'choice_label' => 'name',
                'required' => false,
                'placeholder' => 'None',
            ])
            ->add('value', IntegerType::class, [
                'label' => 'Value in €',
                'empty_data' => '0',
                'constraints' => [new Range(min: 0, max: 1_000_000_000)],
            ])
            ->add('stage', EnumType::class, [
                'class' => Stage::class,
                'choice_label' => static fn (Stage $stage): string => $stage->label(),
            ])
            ->add('version', VersionType::class);
    }

    public function configureOptions(OptionsResolver $resolver): void
    {
        $resolver->setDefaults(['data_class' => DealDraft::class]);
    }
}
