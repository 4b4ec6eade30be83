<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Doctrine\DBAL\Configuration;
use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Driver\Middleware;
use Doctrine\ORM\Event\OnFlushEventArgs;
use Doctrine\ORM\Event\PostFlushEventArgs;

/** Simulates installations without some packages or with older ones, in a separate process before classes are loaded. */
final class Installation
{
    /** Optional packages, by the prefix of their classes. */
    public const OPTIONAL = [
        'Doctrine' => ['Doctrine\\DBAL\\', 'Doctrine\\ORM\\', 'Doctrine\\Persistence\\', 'Symfony\\Bridge\\Doctrine\\'],
        'Twig' => ['Twig\\', 'Symfony\\Bridge\\Twig\\', 'Symfony\\Bundle\\TwigBundle\\', 'Symfony\\Bundle\\WebProfilerBundle\\'],
        'Security' => ['Symfony\\Component\\Security\\', 'Symfony\\Bundle\\SecurityBundle\\'],
        'Messenger' => ['Symfony\\Component\\Messenger\\'],
        'Notifier' => ['Symfony\\Component\\Notifier\\'],
        'Form' => ['Symfony\\Component\\Form\\'],
        'the profiler' => ['Symfony\\Bundle\\WebProfilerBundle\\'],
    ];

    public static function lacks(string ...$prefixes): void
    {
        self::change($prefixes, static fn (): bool => false);
    }

    /**
     * Changes DBAL 3 and ORM 2 to the interfaces of the versions in OroPlatform 5.0 to 6.1.
     *
     * DBAL 2.13 (5.0 to 6.1): no middlewares, neither their interface and classes nor the setting; a connection has no
     * getNativeConnection(). ORM 2.10 (5.0): the events of a flush name their manager by getEntityManager() alone.
     *
     * @return bool false: DBAL 4 is there, which cannot pass for DBAL 2
     */
    public static function hasOlderDoctrine(): bool
    {
        $configuration = self::source('Doctrine/DBAL/Configuration.php', 'doctrine/dbal/src/Configuration.php');
        $connection = self::source('Doctrine/DBAL/Connection.php', 'doctrine/dbal/src/Connection.php');
        if (!str_contains($connection, 'function getEventManager(')) {
            return false;
        }
        // DBAL 3's DriverManager reads the setting, so its getter is kept.
        $changed = [
            Configuration::class => str_replace('function setMiddlewares(', 'function setNoMiddlewares(', $configuration),
            Connection::class => str_replace('function getNativeConnection(', 'function getNoNativeConnection(', $connection),
            OnFlushEventArgs::class => self::olderEvent('OnFlushEventArgs'),
            PostFlushEventArgs::class => self::olderEvent('PostFlushEventArgs'),
        ];
        self::change([Middleware::class], static function (string $class) use ($changed): bool {
            if (isset($changed[$class])) {
                eval('?>' . $changed[$class]);
            }

            return isset($changed[$class]);
        });

        return true;
    }

    /**
     * @param list<string>           $lacking
     * @param \Closure(string): bool $declare whether it has declared the class itself
     */
    private static function change(array $lacking, \Closure $declare): void
    {
        $loaders = spl_autoload_functions();
        array_map(spl_autoload_unregister(...), $loaders);
        spl_autoload_register(static function (string $class) use ($lacking, $declare, $loaders): void {
            foreach ($lacking as $prefix) {
                if (str_starts_with($class, $prefix)) {
                    return;
                }
            }
            if ($declare($class)) {
                return;
            }
            foreach ($loaders as $loader) {
                $loader($class);
                if (class_exists($class, false) || interface_exists($class, false) || trait_exists($class, false)) {
                    return;
                }
            }
        });
    }

    private static function source(string $inDebian, string $inVendor): string
    {
        $file = \dirname(__DIR__, 2) . '/vendor/' . $inVendor;

        return file_get_contents(is_file($file) ? $file : '/usr/share/php/' . $inDebian);
    }

    private static function olderEvent(string $name): string
    {
        return <<<PHP
            <?php
            namespace Doctrine\\ORM\\Event;

            class $name extends \\Doctrine\\Common\\EventArgs
            {
                public function __construct(private \\Doctrine\\ORM\\EntityManagerInterface \$em)
                {
                }

                public function getEntityManager()
                {
                    return \$this->em;
                }
            }
            PHP;
    }
}
