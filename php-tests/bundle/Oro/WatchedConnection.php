<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Doctrine\DBAL\Connection;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherAwareInterface;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherInterface;

/** A connection like the class that Oro generates for the default connection. */
final class WatchedConnection extends Connection implements TransactionWatcherAwareInterface
{
    public function setTransactionWatcher(?TransactionWatcherInterface $transactionWatcher = null): void
    {
    }
}
