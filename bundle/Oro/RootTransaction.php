<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\DBAL\Connection;
use Doctrine\Persistence\ManagerRegistry;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherInterface;
use Orosync\ContentTag\Transaction\UncommittedTags;

/**
 * Receives the start, commit and rollback of the root transaction on Oro's default connection.
 *
 * Oro generates a wrapper class for the default connection, which notifies its watchers. It reports neither other connections
 * nor savepoints, nor a failed commit or rollback: the next start follows instead.
 */
final class RootTransaction implements TransactionWatcherInterface
{
    private bool $isOpen = false;

    /** @param \Closure(): ManagerRegistry $doctrine lazy, because the default connection depends on its watchers */
    public function __construct(
        private readonly UncommittedTags $uncommitted,
        private readonly \Closure $doctrine,
    ) {
    }

    /**
     * Holds the tags if the connection is the watched one and in a transaction.
     *
     * @param list<string> $tags
     *
     * @return bool false: not held, because there is no commit to wait for
     */
    public function hold(Connection $connection, array $tags): bool
    {
        // Without auto-commit the next transaction starts within the commit, which is then not reported.
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
