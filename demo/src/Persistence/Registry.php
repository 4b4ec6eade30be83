<?php

declare(strict_types=1);

namespace Demo\Persistence;

use Doctrine\Persistence\Proxy;
use Symfony\Bridge\Doctrine\ManagerRegistry;
use Symfony\Component\DependencyInjection\ContainerInterface;

/** A manager registry with the single connection and entity manager of `config/doctrine.php`. */
final class Registry extends ManagerRegistry
{
    public function __construct(ContainerInterface $container)
    {
        $this->container = $container;
        parent::__construct(
            'demo',
            ['default' => 'doctrine.dbal.default_connection'],
            ['default' => 'doctrine.orm.default_entity_manager'],
            'default',
            'default',
            Proxy::class,
        );
    }
}
