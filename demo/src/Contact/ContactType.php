<?php

declare(strict_types=1);

namespace Demo\Contact;

use Demo\Entity\Company;
use Demo\Record\VersionType;
use Doctrine\ORM\EntityRepository;
use Doctrine\ORM\QueryBuilder;
use Symfony\Bridge\Doctrine\Form\Type\EntityType;
use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\Extension\Core\Type\EmailType;
use Symfony\Component\Form\Extension\Core\Type\TelType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\Form\Extension\Core\Type\TextType;
use Symfony\Component\Form\FormBuilderInterface;
use Symfony\Component\OptionsResolver\OptionsResolver;
use Symfony\Component\Validator\Constraints\Email;
use Symfony\Component\Validator\Constraints\Length;
use Symfony\Component\Validator\Constraints\NotBlank;

final class ContactType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $line = new Length(max: 200);
        $builder
            ->add('name', TextType::class, [
                'constraints' => [new NotBlank(message: 'Every contact needs a name.'), $line],
                'empty_data' => '',
            ])
            ->add('company', EntityType::class, [
                'class' => Company::class,
                'choice_label' => 'name',
                'query_builder' => static fn (EntityRepository $companies): QueryBuilder =>
                    $companies->createQueryBuilder('company')->orderBy('company.name'),
                'required' => false,
                'placeholder' => 'None',
            ])
            ->add('email', EmailType::class, [
                'label' => 'E-mail',
                'required' => false,
                'empty_data' => '',
                'constraints' => [new Email(message: '{{ value }} is not an e-mail address.'), $line],
            ])
            ->add('phone', TelType::class, ['required' => false, 'empty_data' => '', 'constraints' => [$line]])
            ->add('notes', TextareaType::class, [
                'required' => false,
                'empty_data' => '',
                'attr' => ['rows' => 5],
                'constraints' => [new Length(max: 5000)],
            ])
            ->add('version', VersionType::class);
    }

    public function configureOptions(OptionsResolver $resolver): void
    {
        $resolver->setDefaults(['data_class' => ContactDraft::class]);
    }
}
