<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\DBAL\Connection;
use Doctrine\ORM\Configuration;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\ORMSetup;
use Symfony\Bridge\Doctrine\ContainerAwareEventManager;
use Symfony\Bridge\Doctrine\Security\User\EntityUserProvider;
use Symfony\Bridge\Doctrine\DependencyInjection\CompilerPass\RegisterEventListenersAndSubscribersPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ServicesConfigurator;
use Symfony\Component\DependencyInjection\Reference;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

/** Doctrine's services as DoctrineBundle defines them, because Debian does not package it. Each connection has a manager of its name. */
final class Doctrine
{
    /** @param list<string> $connections the default one first */
    public static function build(ContainerBuilder $container, array $connections): void
    {
        $container->setParameter('doctrine.default_connection', $connections[0]);
        $container->setParameter('doctrine.connections', self::ids($connections, 'doctrine.dbal.%s_connection'));
        $container->addCompilerPass(new RegisterEventListenersAndSubscribersPass('doctrine.connections', 'doctrine.dbal.%s_connection.event_manager', 'doctrine'));
    }

    /** @param array<string, array<string, mixed>> $connections what DriverManager is to know of each, beside its empty database */
    public static function configure(ServicesConfigurator $services, array $connections): void
    {
        $services->set('doctrine.dbal.connection_factory', '%doctrine.dbal.connection_factory.class%');
        $configuration = $services->set('doctrine.orm.configuration', Configuration::class)
            ->factory([ORMSetup::class, 'createAttributeMetadataConfiguration'])->args([[__DIR__ . '/Entity'], true]);
        if (self::hasNativeProxies()) {
            $configuration->call('enableNativeLazyObjects', [true]);
        }
        foreach ($connections as $name => $parameters) {
            $connection = sprintf('doctrine.dbal.%s_connection', $name);
            $services->set($connection . '.event_manager', ContainerAwareEventManager::class)
                ->args([service('service_container')]);
            $services->set($connection, Connection::class)
                ->factory([service('doctrine.dbal.connection_factory'), 'createConnection'])
                ->args([$parameters + ['driver' => 'pdo_sqlite', 'memory' => true], service('doctrine.orm.configuration'), service($connection . '.event_manager')])
                ->public();
            $services->set(sprintf('doctrine.orm.%s_entity_manager', $name), EntityManager::class)
                ->args([service($connection), service('doctrine.orm.configuration'), service($connection . '.event_manager')])
                ->public();
        }
        $names = array_keys($connections);
        $services->set('doctrine', ManagerRegistry::class)->public()->args([
            service('service_container'),
            self::ids($names, 'doctrine.dbal.%s_connection'),
            self::ids($names, 'doctrine.orm.%s_entity_manager'),
        ]);
        $services->set('doctrine.orm.security.user.provider', EntityUserProvider::class)->abstract()->args([service('doctrine')]);
    }

    /** Symfony 8 has no proxies for Doctrine: PHP 8.4 has native lazy objects. */
    public static function hasNativeProxies(): bool
    {
        return \PHP_VERSION_ID >= 80400 && method_exists(Configuration::class, 'enableNativeLazyObjects');
    }

    public static function setMiddlewares(ContainerBuilder $container): void
    {
        $middlewares = array_map(static fn (string $id): Reference => new Reference($id), array_keys($container->findTaggedServiceIds('doctrine.middleware')));
        if ([] !== $middlewares) {
            $container->getDefinition('doctrine.orm.configuration')->addMethodCall('setMiddlewares', [$middlewares]);
        }
    }

    /**
     * @param list<string> $names
     *
     * @return array<string, string>
     */
    private static function ids(array $names, string $form): array
    {
        return array_combine($names, array_map(static fn (string $name): string => sprintf($form, $name), $names));
    }
}
