<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

/**
 * Stand-ins for the classes and interfaces of Oro and its server that the bundle uses, with their names, signatures and
 * behaviour of 5.1 to 7.0. If Oro is installed, its own classes take precedence.
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
