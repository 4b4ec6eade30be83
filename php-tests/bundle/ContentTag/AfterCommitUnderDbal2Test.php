<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Orosync\ContentTag\Transaction\Dbal2Connection;
use Orosync\ContentTag\Transaction\UncommittedTags;

/** What DBAL 2 needs works with DBAL 3 too, which is there. */
final class AfterCommitUnderDbal2Test extends AfterCommitTestCase
{
    protected function setUp(): void
    {
        if (!method_exists(Connection::class, 'getEventManager')) {
            self::markTestSkipped('DBAL 4 has another Connection.');
        }
        parent::setUp();
    }

    protected static function database(): array
    {
        return ['driver' => 'pdo_sqlite', 'path' => getenv('OROSYNC_TEST_DIRECTORY') . '/after-commit-dbal2.sqlite'];
    }

    protected static function connect(UncommittedTags $uncommitted): Connection
    {
        $connection = DriverManager::getConnection(self::database() + ['wrapperClass' => Dbal2Connection::class]);
        $connection->reportTransactionsTo($uncommitted);

        return $connection;
    }
}
