<?php

declare(strict_types=1);

namespace Orosync\Entry;

/** A part of ours that has failed within an action of the application, as the profiler keeps it. */
final class Failure
{
    /**
     * @param string $lost   what does not happen
     * @param string $reason what was thrown
     */
    public function __construct(
        public readonly string $lost,
        public readonly string $reason,
    ) {
    }
}
