<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DBAL;

/** 5.0 to 7.0: calls the watchers one after the other; an exception of one skips the following ones. */
class ChainTransactionWatcher implements TransactionWatcherInterface
{
    /** @param list<TransactionWatcherInterface> $watchers */
    public function __construct(private readonly array $watchers)
    {
    }

    public function onTransactionStarted(): void
    {
        foreach ($this->watchers as $watcher) {
            $watcher->onTransactionStarted();
        }
    }

    public function onTransactionCommitted(): void
    {
        foreach ($this->watchers as $watcher) {
            $watcher->onTransactionCommitted();
        }
    }

    public function onTransactionRolledback(): void
    {
        foreach ($this->watchers as $watcher) {
            $watcher->onTransactionRolledback();
        }
    }
}
