<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\Persistence\Proxy;
use Symfony\Bridge\Doctrine\ManagerRegistry as BridgeRegistry;
use Symfony\Component\DependencyInjection\Container;

/** What DoctrineBundle offers as the service `doctrine`. */
final class ManagerRegistry extends BridgeRegistry
{
    public function __construct(Container $container)
    {
        $this->container = $container;
        parent::__construct('ORM', ['default' => 'doctrine.dbal.default_connection'], ['default' => 'doctrine.orm.default_entity_manager'], 'default', 'default', Proxy::class);
    }
}
