<?php

declare(strict_types=1);

namespace Demo\Record;

use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\CallbackTransformer;
use Symfony\Component\Form\Extension\Core\Type\HiddenType;
use Symfony\Component\Form\FormBuilderInterface;

/** The version that the author of a form saw. Anything but a number becomes 0, which is refused as outdated. */
final class VersionType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $builder->addModelTransformer(new CallbackTransformer('strval', 'intval'));
    }

    public function getParent(): string
    {
        return HiddenType::class;
    }
}
