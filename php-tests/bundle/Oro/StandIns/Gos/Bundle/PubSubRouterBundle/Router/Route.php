<?php

declare(strict_types=1);

namespace Gos\Bundle\PubSubRouterBundle\Router;

final class Route
{
    /**
     * @param array<string, mixed>  $defaults
     * @param array<string, string> $requirements
     */
    public function __construct(
        private readonly string $pattern,
        private readonly mixed $callback,
        private readonly array $defaults = [],
        private readonly array $requirements = [],
    ) {
    }

    public function getPattern(): string
    {
        return $this->pattern;
    }

    public function getCallback(): mixed
    {
        return $this->callback;
    }

    public function getRequirement(string $key): ?string
    {
        return $this->requirements[$key] ?? null;
    }

    public function hasDefault(string $name): bool
    {
        return isset($this->defaults[$name]);
    }
}
