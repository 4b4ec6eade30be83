<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\DBAL\Connection;

/** A refused commit, for databases that can defer the check of a foreign key until then. */
trait RefusedCommit
{
    public function testTagsAreDroppedIfTheDatabaseRefusesTheCommit(): void
    {
        $isSqlite = 'pdo_sqlite' === static::database()['driver'];
        if ($isSqlite) {
            $this->connection->executeStatement('PRAGMA foreign_keys = ON');
        }
        $this->reader->executeStatement('DROP TABLE IF EXISTS reference');
        $this->reader->executeStatement('DROP TABLE IF EXISTS referenced');
        $this->reader->executeStatement('CREATE TABLE referenced (number INTEGER PRIMARY KEY)');
        $this->reader->executeStatement('CREATE TABLE reference (number INTEGER REFERENCES referenced (number) DEFERRABLE INITIALLY DEFERRED)');
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->executeStatement('INSERT INTO reference VALUES (77)');
        try {
            $this->connection->commit();
            $refused = false;
        } catch (\Exception) {
            $refused = true;
        }
        self::assertTrue($refused);
        // PostgreSQL has ended the transaction, and DBAL 4 does not roll back afterwards; SQLite's transaction is still open.
        if ($isSqlite) {
            $this->connection->isTransactionActive() ? $this->connection->rollBack() : $this->connection->getNativeConnection()->rollBack();
        }
        (new \ReflectionProperty(Connection::class, 'transactionNestingLevel'))->setValue($this->connection, 0);
        $this->connection->beginTransaction();
        $this->save('b');
        $this->connection->commit();

        $this->announcedIs('b');
    }
}
