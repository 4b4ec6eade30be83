<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** Extent of a run: enough to see that everything works, or enough to publish the results. */
enum Effort: string
{
    case Quick = 'quick';
    case Full = 'full';

    public function of(int $quick, int $full): int
    {
        return $this === self::Quick ? $quick : $full;
    }
}
