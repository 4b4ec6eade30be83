<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\Persistence\Proxy;
use Symfony\Bridge\Doctrine\ManagerRegistry as BridgeRegistry;
use Symfony\Component\DependencyInjection\Container;

/** Replaces DoctrineBundle's service `doctrine`. */
final class ManagerRegistry extends BridgeRegistry
{
    /**
     * @param array<string, string> $connections services by name, the default one first
     * @param array<string, string> $managers    likewise
     */
    public function __construct(Container $container, array $connections, array $managers)
    {
        $this->container = $container;
        parent::__construct('ORM', $connections, $managers, array_key_first($connections), array_key_first($managers), Proxy::class);
    }
}
