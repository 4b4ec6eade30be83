<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\EntityConfigBundle\Config\ConfigInterface;
use Oro\Bundle\EntityExtendBundle\EntityExtend\ExtendEntityMetadataProviderInterface;

/** Reports no extended fields for any entity. */
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
