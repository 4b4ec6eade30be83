<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

final class AfterCommitOnSqliteTest extends AfterCommitTestCase
{
    use RefusedCommit;

    protected static function database(): array
    {
        return ['driver' => 'pdo_sqlite', 'path' => getenv('OROSYNC_TEST_FILES') . '/after-commit.sqlite'];
    }
}
