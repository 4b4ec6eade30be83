<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** What a person has to decide: something that the old server ran in PHP, and the way to go. */
final class Finding
{
    /** @param string $where a class and method, or a route */
    public function __construct(
        public readonly string $where,
        public readonly string $advice,
    ) {
    }
}
