<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/** Combines the tags of all generators that support the content, without duplicates. */
final class TagGeneratorChain implements TagGeneratorInterface
{
    /** @param iterable<TagGeneratorInterface> $generators */
    public function __construct(private readonly iterable $generators)
    {
    }

    public function supports(mixed $data): bool
    {
        foreach ($this->generators as $generator) {
            if ($generator->supports($data)) {
                return true;
            }
        }

        return false;
    }

    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        $tags = [];
        foreach ($this->generators as $generator) {
            if ($generator->supports($data)) {
                array_push($tags, ...$generator->generate($data, $includeCollectionTag, $processNestedData));
            }
        }

        return array_values(array_unique($tags));
    }
}
