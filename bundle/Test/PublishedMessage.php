<?php

declare(strict_types=1);

namespace Orosync\Test;

/** A message as pages would receive it. */
final class PublishedMessage
{
    /**
     * @param mixed        $payload  decoded from JSON, with objects as arrays
     * @param list<string> $exclude
     * @param list<string> $eligible
     */
    public function __construct(
        public readonly string $topic,
        public readonly mixed $payload,
        public readonly string $json,
        public readonly array $exclude,
        public readonly array $eligible,
    ) {
    }
}
