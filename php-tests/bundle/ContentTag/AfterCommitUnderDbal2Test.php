<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Orosync\ContentTag\Transaction\Dbal2Connection;
use Orosync\ContentTag\Transaction\UncommittedTags;
use Orosync\Tests\Installation;
use PHPUnit\Framework\Attributes\PreserveGlobalState;
use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;

/**
 * @runTestsInSeparateProcesses
 *
 * @preserveGlobalState disabled
 */
#[RunTestsInSeparateProcesses]
#[PreserveGlobalState(false)]
final class AfterCommitUnderDbal2Test extends AfterCommitTestCase
{
    use RefusedCommit;

    protected function setUp(): void
    {
        if (!Installation::hasOlderDoctrine()) {
            self::markTestSkipped('DBAL 2 cannot be simulated with DBAL 4.');
        }
        parent::setUp();
    }

    protected static function database(): array
    {
        return ['driver' => 'pdo_sqlite', 'path' => getenv('BUNDLE_TEST_DIRECTORY') . '/after-commit-dbal2.sqlite'];
    }

    protected static function connect(UncommittedTags $uncommitted): Connection
    {
        $connection = DriverManager::getConnection(self::database() + ['wrapperClass' => Dbal2Connection::class]);
        $connection->reportTransactionsTo($uncommitted);

        return $connection;
    }
}
