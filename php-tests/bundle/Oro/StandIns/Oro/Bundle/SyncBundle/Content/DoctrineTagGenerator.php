<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Content;

final class DoctrineTagGenerator implements TagGeneratorInterface
{
    public function supports($data): bool
    {
        return \is_object($data);
    }

    public function generate($data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        $class = preg_replace('/[^a-z]+/i', '_', $data::class);

        return [...!isset($data->id) ? [] : [$class . '_' . $data->id], ...$includeCollectionTag ? [$class . '_type_collection'] : []];
    }
}
