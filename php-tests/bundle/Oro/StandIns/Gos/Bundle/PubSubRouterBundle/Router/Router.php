<?php

declare(strict_types=1);

namespace Gos\Bundle\PubSubRouterBundle\Router;

final class Router implements RouterInterface
{
    /** @param array<string, array{channel: string, callback: string, requirements?: array<string, string>, defaults?: array<string, mixed>}> $routes */
    public function __construct(private readonly array $routes)
    {
    }

    public function getCollection(): RouteCollection
    {
        return new RouteCollection(array_map(
            static fn (array $route): Route => new Route($route['channel'], $route['callback'], $route['defaults'] ?? [], $route['requirements'] ?? []),
            $this->routes,
        ));
    }

    public function getName(): string
    {
        return 'websocket';
    }
}
