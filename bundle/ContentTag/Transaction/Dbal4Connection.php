<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Driver\Connection;
use Doctrine\DBAL\Driver\Middleware\AbstractConnectionMiddleware;

/** The connection of DBAL 4, whose commit() and rollBack() return nothing. */
final class Dbal4Connection extends AbstractConnectionMiddleware
{
    public function __construct(
        Connection $connection,
        private readonly object $native,
        private readonly UncommittedTags $uncommitted,
    ) {
        parent::__construct($connection);
    }

    public function exec(string $sql): int|string
    {
        $affected = parent::exec($sql);
        $this->uncommitted->executed($this->native, $sql);

        return $affected;
    }

    public function commit(): void
    {
        $this->uncommitted->commit($this->native, fn () => parent::commit());
    }

    public function rollBack(): void
    {
        $this->uncommitted->rolledBack($this->native);
        parent::rollBack();
    }
}
