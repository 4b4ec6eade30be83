<?php

declare(strict_types=1);

namespace Demo\Company;

use Demo\Record\VersionType;
use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\Extension\Core\Type\TelType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\Form\Extension\Core\Type\TextType;
use Symfony\Component\Form\FormBuilderInterface;
use Symfony\Component\OptionsResolver\OptionsResolver;
use Symfony\Component\Validator\Constraints\Length;
use Symfony\Component\Validator\Constraints\NotBlank;

final class CompanyType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $line = new Length(max: 200);
        $builder
            ->add('name', TextType::class, [
                'constraints' => [new NotBlank(message: 'Every company needs a name.'), $line],
                'empty_data' => '',
            ])
            ->add('city', TextType::class, ['required' => false, 'empty_data' => '', 'constraints' => [$line]])
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
        $resolver->setDefaults(['data_class' => CompanyDraft::class]);
    }
}
