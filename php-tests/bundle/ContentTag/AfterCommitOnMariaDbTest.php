<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

final class AfterCommitOnMariaDbTest extends AfterCommitTestCase
{
    private static ?DatabaseServer $server = null;

    public static function setUpBeforeClass(): void
    {
        self::$server = DatabaseServer::mariaDb();
    }

    public static function tearDownAfterClass(): void
    {
        self::$server?->stop();
        self::$server = null;
    }

    protected static function database(): array
    {
        return self::$server->parameters;
    }

    public function testTagsAreAnnouncedAfterAnImplicitCommitByDdl(): void
    {
        $this->reader->executeStatement('DROP TABLE IF EXISTS defined');
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->executeStatement('CREATE TABLE defined (number INTEGER)');
        try {
            $this->connection->commit();
        } catch (\Exception) {
            // PDO reports that the transaction has ended.
        }

        $this->announcedIs('a');
    }
}
