<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Driver\Connection;
use Doctrine\DBAL\Driver\Middleware\AbstractConnectionMiddleware;

/** The connection of DBAL 3, whose commit() and rollBack() return a boolean. */
final class Dbal3Connection extends AbstractConnectionMiddleware
{
    public function __construct(
        Connection $connection,
        private readonly object $native,
        private readonly UncommittedTags $uncommitted,
    ) {
        parent::__construct($connection);
    }

    public function exec(string $sql): int
    {
        $affected = parent::exec($sql);
        $this->uncommitted->executed($this->native, $sql);

        return $affected;
    }

    public function commit(): bool
    {
        return $this->uncommitted->commit($this->native, fn (): bool => parent::commit());
    }

    public function rollBack(): bool
    {
        $this->uncommitted->rolledBack($this->native);

        return parent::rollBack();
    }
}
