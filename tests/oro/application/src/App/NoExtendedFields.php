<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\EntityConfigBundle\Config\ConfigInterface;
use Oro\Bundle\EntityExtendBundle\EntityExtend\ExtendEntityMetadataProviderInterface;

/** Says of every entity that it has no extended fields. */
final class NoExtendedFields implements ExtendEntityMetadataProviderInterface
{
    public function getExtendEntityMetadata(string $class): ?ConfigInterface
    {
        return null;
    }

    /** @return array<string, mixed> */
    public function getExtendEntityFieldsMetadata(string $class): array
    {
        return [];
    }
}
