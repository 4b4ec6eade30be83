<?php

declare(strict_types=1);

namespace Orosync\Tests;

use PHPUnit\Framework\Assert;

/** Waits for a condition in another thread or process. */
final class Wait
{
    private const SECONDS = 20;

    /**
     * @param callable(): bool   $happened
     * @param callable(): string $otherwise what to say when it has not
     */
    public static function until(callable $happened, callable $otherwise): void
    {
        $end = hrtime(true) + self::SECONDS * 1_000_000_000;
        while (!$happened()) {
            if (hrtime(true) > $end) {
                Assert::fail(sprintf('Nothing within %d seconds: %s', self::SECONDS, $otherwise()));
            }
            usleep(2000);
        }
    }
}
