<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

final class AfterCommitOnPostgreSqlTest extends AfterCommitTestCase
{
    use RefusedCommit;

    private static ?DatabaseServer $server = null;

    public static function setUpBeforeClass(): void
    {
        self::$server = DatabaseServer::postgreSql();
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
}
