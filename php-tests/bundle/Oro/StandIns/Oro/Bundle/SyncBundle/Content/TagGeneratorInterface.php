<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Content;

interface TagGeneratorInterface
{
    public function supports($data): bool;

    public function generate($data, bool $includeCollectionTag = false, bool $processNestedData = false): array;
}
