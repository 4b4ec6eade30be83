<?php

/**
 * Configures Doctrine with DoctrineBundle's service names, because Debian 12 has no package of that bundle. An application with
 * DoctrineBundle does not need this file.
 */

declare(strict_types=1);

use Demo\Persistence\Registry;
use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\Configuration;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\ORMSetup;
use Doctrine\Persistence\ManagerRegistry;
use Symfony\Bridge\Doctrine\CacheWarmer\ProxyCacheWarmer;
use Symfony\Bridge\Doctrine\ContainerAwareEventManager;
use Symfony\Bridge\Doctrine\Form\Type\EntityType;
use Symfony\Bridge\Doctrine\Messenger\DoctrineClearEntityManagerWorkerSubscriber;
use Symfony\Component\Cache\Adapter\ArrayAdapter;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\Messenger\Bridge\Doctrine\Transport\DoctrineTransportFactory;

use function Symfony\Component\DependencyInjection\Loader\Configurator\inline_service;
use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

return static function (ContainerConfigurator $container): void {
    $container->parameters()->set('doctrine.connections', ['default' => 'doctrine.dbal.default_connection']);

    $services = $container->services();
    $services->set('doctrine.orm.default_configuration', Configuration::class)
        ->factory([ORMSetup::class, 'createAttributeMetadataConfiguration'])
        ->args([
            ['%kernel.project_dir%/src/Entity'],
            false,
            '%kernel.cache_dir%/doctrine',
            inline_service(ArrayAdapter::class),
        ])
        // Changes within a transaction are announced after its commit.
        ->call('setMiddlewares', [[service('orosync.commit_middleware')]]);
    $services->set('doctrine.dbal.default_connection.event_manager', ContainerAwareEventManager::class)
        ->args([service('service_container')]);
    $services->set('doctrine.dbal.default_connection', Connection::class)
        ->factory([DriverManager::class, 'getConnection'])
        ->args([
            ['driver' => 'pdo_sqlite', 'path' => '%demo.directory%/demo.sqlite'],
            service('doctrine.orm.default_configuration'),
            service('doctrine.dbal.default_connection.event_manager'),
        ])
        ->public();
    $services->set('doctrine.orm.default_entity_manager', EntityManager::class)
        ->args([
            service('doctrine.dbal.default_connection'),
            service('doctrine.orm.default_configuration'),
            service('doctrine.dbal.default_connection.event_manager'),
        ])
        // Lazy, so that a manager can be reset after a failed flush has closed it.
        ->lazy()
        ->public();
    $services->set('doctrine', Registry::class)->args([service('service_container')])->public();

    $services->set('doctrine.orm.proxy_cache_warmer', ProxyCacheWarmer::class)
        ->args([service('doctrine')])
        ->tag('kernel.cache_warmer');

    // For forms and for the Messenger worker.
    $services->set('form.type.entity', EntityType::class)->args([service('doctrine')])->tag('form.type');
    $services->set('messenger.transport.doctrine.factory', DoctrineTransportFactory::class)
        ->args([service('doctrine')])
        ->tag('messenger.transport_factory');
    $services->set(DoctrineClearEntityManagerWorkerSubscriber::class)
        ->args([service('doctrine')])
        ->tag('kernel.event_subscriber');

    $services->alias('doctrine.orm.entity_manager', 'doctrine.orm.default_entity_manager');
    $services->alias(EntityManagerInterface::class, 'doctrine.orm.default_entity_manager');
    $services->alias(Connection::class, 'doctrine.dbal.default_connection');
    $services->alias(ManagerRegistry::class, 'doctrine');
};
