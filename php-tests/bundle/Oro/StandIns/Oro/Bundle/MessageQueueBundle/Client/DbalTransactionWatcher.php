<?php

declare(strict_types=1);

namespace Oro\Bundle\MessageQueueBundle\Client;

use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherInterface;

/** 5.0 to 7.0: sends the messages of a transaction after its commit, and fails if the broker fails. */
class DbalTransactionWatcher implements TransactionWatcherInterface
{
    public ?\Exception $failure = null;

    public function onTransactionStarted(): void
    {
    }

    public function onTransactionCommitted(): void
    {
        null === $this->failure || throw $this->failure;
    }

    public function onTransactionRolledback(): void
    {
    }
}
