<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\DBAL\Connection;

/** The connection whose flush is being told about at this moment: Oro's sender of tags is not told which one it is. */
final class CurrentFlush
{
    /** @var list<Connection> innermost last, for a listener may flush within a flush */
    private array $connections = [];

    public function during(Connection $connection, \Closure $tell): void
    {
        $this->connections[] = $connection;
        try {
            $tell();
        } finally {
            array_pop($this->connections);
        }
    }

    public function connection(): ?Connection
    {
        return $this->connections[array_key_last($this->connections) ?? -1] ?? null;
    }
}
