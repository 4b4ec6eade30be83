<?php

declare(strict_types=1);

namespace Demo\Contact;

use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\CallbackTransformer;
use Symfony\Component\Form\Extension\Core\Type\EmailType;
use Symfony\Component\Form\Extension\Core\Type\HiddenType;
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
        $line = new Length(['max' => 200]);
        $builder
            ->add('name', TextType::class, [
                'constraints' => [new NotBlank(['message' => 'Every contact needs a name.']), $line],
                'empty_data' => '',
            ])
            ->add('company', TextType::class, ['required' => false, 'empty_data' => '', 'constraints' => [$line]])
            ->add('email', EmailType::class, [
                'label' => 'E-mail',
                'required' => false,
                'empty_data' => '',
                'constraints' => [new Email(['message' => '{{ value }} is not an e-mail address.']), $line],
            ])
            ->add('phone', TelType::class, ['required' => false, 'empty_data' => '', 'constraints' => [$line]])
            ->add('notes', TextareaType::class, [
                'required' => false,
                'empty_data' => '',
                'attr' => ['rows' => 5],
                'constraints' => [new Length(['max' => 5000])],
            ])
            ->add('version', HiddenType::class);
        // Anything but a number becomes 0, which is no contact's version: refused like any other outdated one.
        $builder->get('version')->addModelTransformer(new CallbackTransformer('strval', 'intval'));
    }

    public function configureOptions(OptionsResolver $resolver): void
    {
        $resolver->setDefaults(['data_class' => ContactDraft::class]);
    }
}
