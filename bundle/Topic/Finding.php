<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** A decision for a developer: code that Oro's old server ran in PHP, and its replacement. */
final class Finding
{
    /** @param string $where a class and method, or a route */
    public function __construct(
        public readonly string $where,
        public readonly string $advice,
    ) {
    }
}
