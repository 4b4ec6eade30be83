<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

final class AfterCommitOnSqliteTest extends AfterCommitTestCase
{
    use RefusedCommit;

    protected static function database(): array
    {
        return ['driver' => 'pdo_sqlite', 'path' => getenv('BUNDLE_TEST_DIRECTORY') . '/after-commit.sqlite'];
    }
}
