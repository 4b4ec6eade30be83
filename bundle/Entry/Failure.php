<?php

declare(strict_types=1);

namespace Orosync\Entry;

/** A failure of the bundle within an action of the application, as the profiler shows it. */
final class Failure
{
    /**
     * @param string $lost   the effect that is missing
     * @param string $reason class and message of the exception
     */
    public function __construct(
        public readonly string $lost,
        public readonly string $reason,
    ) {
    }
}
