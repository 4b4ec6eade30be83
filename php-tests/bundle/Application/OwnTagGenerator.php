<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Orosync\ContentTag\TagGeneratorInterface;

/** Supports dates, and companies, for which it fails at a certain name. */
final class OwnTagGenerator implements TagGeneratorInterface
{
    public function supports(mixed $data): bool
    {
        return $data instanceof \DateTimeInterface || ($data instanceof Entity\Company && 'no tags, please' === $data->name);
    }

    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        return $data instanceof \DateTimeInterface ? ['day_' . $data->format('Ymd')] : throw new \LogicException('no tags for this company');
    }
}
