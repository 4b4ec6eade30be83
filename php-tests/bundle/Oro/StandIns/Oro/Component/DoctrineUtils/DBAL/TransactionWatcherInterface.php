<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DBAL;

/** 5.0 to 7.0: notified about root transactions of a connection after their end in the database. */
interface TransactionWatcherInterface
{
    public function onTransactionStarted();

    public function onTransactionCommitted();

    public function onTransactionRolledback();
}
