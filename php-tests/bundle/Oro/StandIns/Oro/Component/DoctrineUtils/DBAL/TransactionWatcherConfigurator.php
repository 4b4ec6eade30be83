<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DBAL;

/** 5.0 to 7.0: loads the connection class that the compiler pass has generated in the cache directory. */
final class TransactionWatcherConfigurator
{
    public const CONNECTION_PROXY_NAMESPACE = 'OroDoctrineConnection';

    public static function getConnectionProxyRootDir(string $cacheDir): string
    {
        return $cacheDir . '/oro_entities';
    }

    public static function registerConnectionProxies(string $cacheDir): void
    {
        spl_autoload_register(static function (string $class) use ($cacheDir): void {
            $file = self::getConnectionProxyRootDir($cacheDir) . '/' . str_replace('\\', '/', $class) . '.php';
            if (str_starts_with($class, self::CONNECTION_PROXY_NAMESPACE . '\\') && is_file($file)) {
                require $file;
            }
        });
    }
}
