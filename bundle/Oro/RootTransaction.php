<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\DBAL\Connection;
use Doctrine\Persistence\ManagerRegistry;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherInterface;
use Orosync\ContentTag\Transaction\UncommittedTags;

/**
 * Oro's own word on the root transaction of its default connection: it began, was committed, was rolled back.
 *
 * Oro gives every default connection a wrapper class that it generates, and has that tell its watchers. It tells nothing
 * of other connections and of savepoints, and not of an end that failed: the next beginning follows.
 */
final class RootTransaction implements TransactionWatcherInterface
{
    private bool $isOpen = false;

    /** @param \Closure(): ManagerRegistry $doctrine the default connection itself depends on its watchers */
    public function __construct(
        private readonly UncommittedTags $uncommitted,
        private readonly \Closure $doctrine,
    ) {
    }

    /**
     * Keep the tags if the connection is the watched one, in a transaction.
     *
     * @param list<string> $tags
     *
     * @return bool false: not kept, for there is nothing to wait for
     */
    public function hold(Connection $connection, array $tags): bool
    {
        // Without auto-commit the next transaction begins within the commit, which is then not told.
        return $this->isOpen
            && $connection->isAutoCommit()
            && $connection === ($this->doctrine)()->getConnection()
            && $this->uncommitted->keep($this, $tags);
    }

    public function onTransactionStarted(): void
    {
        $this->isOpen = true;
        $this->uncommitted->watch($this);
    }

    public function onTransactionCommitted(): void
    {
        if ($this->isOpen) {
            $this->isOpen = false;
            $this->uncommitted->committed($this);
        }
    }

    public function onTransactionRolledback(): void
    {
        $this->isOpen = false;
        $this->uncommitted->rolledBack($this);
    }
}
