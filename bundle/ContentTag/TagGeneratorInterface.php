<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/**
 * Names content: what a page shows and what a flush changes get equal tags, and equality is all that is compared.
 *
 * Services that implement it join the chain by themselves where autoconfiguration is on, else by the tag
 * `orosync.tag_generator`.
 */
interface TagGeneratorInterface
{
    /** Ends the tag of all records of a kind, as against the tag of one. */
    public const COLLECTION_SUFFIX = '_type_collection';

    public function supports(mixed $data): bool;

    /**
     * @param mixed $data                 what supports() said yes to
     * @param bool  $includeCollectionTag add the tag of all records of its kind
     * @param bool  $processNestedData    add the tags of what it refers to, one level deep
     *
     * @return list<string>
     */
    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array;
}
