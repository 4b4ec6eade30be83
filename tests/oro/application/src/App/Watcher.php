<?php

declare(strict_types=1);

namespace App;

use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherInterface;

/** A second transaction watcher, like that of OroMessageQueueBundle. */
final class Watcher implements TransactionWatcherInterface
{
    public function onTransactionStarted(): void
    {
    }

    public function onTransactionCommitted(): void
    {
    }

    public function onTransactionRolledback(): void
    {
    }
}
