<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\DBAL\Configuration;
use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;

/** Replaces DoctrineBundle's service `doctrine.dbal.connection_factory`. */
class ConnectionFactory
{
    /** @param array<string, mixed> $parameters */
    public function createConnection(array $parameters, Configuration $configuration, object $eventManager): Connection
    {
        $parameters['wrapperClass'] = $this->wrapperClass($parameters['wrapperClass'] ?? null);

        return DriverManager::getConnection(array_filter($parameters, static fn (mixed $value): bool => null !== $value), $configuration, $eventManager);
    }

    protected function wrapperClass(?string $configured): ?string
    {
        return $configured;
    }
}
