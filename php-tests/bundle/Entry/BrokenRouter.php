<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Gos\Bundle\PubSubRouterBundle\Router\RouteCollection;
use Gos\Bundle\PubSubRouterBundle\Router\RouterInterface;

/** The router of an Oro application whose routes cannot be read. */
final class BrokenRouter implements RouterInterface
{
    public function getCollection(): RouteCollection
    {
        BrokenService::build();
    }

    public function getName(): string
    {
        return 'websocket';
    }
}
