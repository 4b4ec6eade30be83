<?php

declare(strict_types=1);

namespace Gos\Bundle\PubSubRouterBundle\Router;

final class RouteCollection implements \IteratorAggregate
{
    /** @param array<string, Route> $routes */
    public function __construct(private readonly array $routes)
    {
    }

    public function getIterator(): \Traversable
    {
        return new \ArrayIterator($this->routes);
    }
}
