<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;

/**
 * Reports the end of transactions and savepoints under DBAL 2, which has no middlewares. Used as the connection's
 * `wrapperClass`; not in OroPlatform, which has its own.
 */
final class Dbal2Connection extends Connection
{
    private UncommittedTags $uncommitted;

    public function reportTransactionsTo(UncommittedTags $uncommitted): void
    {
        $this->uncommitted = $uncommitted;
        $uncommitted->watch($this);
    }

    public function commit()
    {
        $isOutermost = 1 === $this->getTransactionNestingLevel();

        return $isOutermost ? $this->uncommitted->commit($this, fn () => parent::commit()) : parent::commit();
    }

    public function rollBack()
    {
        if (1 === $this->getTransactionNestingLevel()) {
            $this->uncommitted->rolledBack($this);
        }

        return parent::rollBack();
    }

    public function createSavepoint($savepoint)
    {
        parent::createSavepoint($savepoint);
        $this->uncommitted->executed($this, $this->getDatabasePlatform()->createSavePoint($savepoint));
    }

    public function releaseSavepoint($savepoint)
    {
        parent::releaseSavepoint($savepoint);
        $this->uncommitted->executed($this, $this->getDatabasePlatform()->releaseSavePoint($savepoint));
    }

    public function rollbackSavepoint($savepoint)
    {
        parent::rollbackSavepoint($savepoint);
        $this->uncommitted->executed($this, $this->getDatabasePlatform()->rollbackSavePoint($savepoint));
    }

    public function executeStatement($sql, array $params = [], array $types = [])
    {
        $affected = parent::executeStatement($sql, $params, $types);
        $this->uncommitted->executed($this, $sql);

        return $affected;
    }
}
