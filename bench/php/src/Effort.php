<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** How much is measured: enough to see that it works, or enough to publish. */
enum Effort: string
{
    case Quick = 'quick';
    case Full = 'full';

    public function of(int $quick, int $full): int
    {
        return $this === self::Quick ? $quick : $full;
    }
}
