<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DBAL;

interface TransactionWatcherAwareInterface
{
    public function setTransactionWatcher(?TransactionWatcherInterface $transactionWatcher = null);
}
