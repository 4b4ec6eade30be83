<?php

declare(strict_types=1);

namespace Orosync\Test;

/** A message as pages would have got it. */
final class PublishedMessage
{
    /**
     * @param mixed        $payload  decoded from its JSON, objects as arrays
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
