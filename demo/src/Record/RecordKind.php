<?php

declare(strict_types=1);

namespace Demo\Record;

use Demo\Entity\Record;
use Symfony\Component\Form\FormTypeInterface;

/** A kind of records, with the names of its routes and templates. */
final class RecordKind
{
    /**
     * @param class-string<Record>            $entity
     * @param class-string<FormTypeInterface> $form
     */
    public function __construct(
        public readonly string $name,
        public readonly string $plural,
        public readonly string $entity,
        public readonly string $form,
    ) {
    }
}
