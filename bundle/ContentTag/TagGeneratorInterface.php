<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/**
 * Names content by tags. The content of a page and a change of it must get the same tag; tags are compared for equality only.
 *
 * Services that implement it join the chain through autoconfiguration, otherwise through the tag `orosync.tag_generator`.
 */
interface TagGeneratorInterface
{
    /** Suffix of a collection tag, which stands for all records of a kind. */
    public const COLLECTION_SUFFIX = '_type_collection';

    public function supports(mixed $data): bool;

    /**
     * @param mixed $data                 content that supports() accepts
     * @param bool $includeCollectionTag add the collection tag
     * @param bool  $processNestedData    add the tags of referenced content, one level deep
     *
     * @return list<string>
     */
    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array;
}
