<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\DBAL\Connection;

/** The connection of the flush that is being announced. Oro's sender of tags does not receive it otherwise. */
final class CurrentFlush
{
    /** @var list<Connection> innermost last: a listener may flush within a flush */
    private array $connections = [];

    public function during(Connection $connection, \Closure $report): void
    {
        $this->connections[] = $connection;
        try {
            $report();
        } finally {
            array_pop($this->connections);
        }
    }

    public function connection(): ?Connection
    {
        return $this->connections[array_key_last($this->connections) ?? -1] ?? null;
    }
}
