<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DBAL;

/** 5.0 to 7.0: told of the root transaction of one connection, after the database has done it. */
interface TransactionWatcherInterface
{
    public function onTransactionStarted();

    public function onTransactionCommitted();

    public function onTransactionRolledback();
}
