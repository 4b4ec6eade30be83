<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

/**
 * The classes and interfaces of Oro and of the old server that ours meet: their names, signatures and behaviour as they
 * are known from 5.1 to 7.0, in code of our own. Where Oro itself is installed its own classes come first.
 */
final class StandIns
{
    private const PREFIXES = ['Oro\\', 'Gos\\'];

    private static bool $registered = false;

    public static function register(): void
    {
        if (self::$registered) {
            return;
        }
        self::$registered = true;
        spl_autoload_register(static function (string $class): void {
            $file = __DIR__ . '/StandIns/' . str_replace('\\', '/', $class) . '.php';
            foreach (self::PREFIXES as $prefix) {
                if (str_starts_with($class, $prefix) && is_file($file)) {
                    require $file;
                }
            }
        });
    }
}
