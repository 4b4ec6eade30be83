<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\ContentTag\Transaction\SavepointStatement;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

final class SavepointStatementTest extends TestCase
{
    /** @dataProvider statements */
    #[DataProvider('statements')]
    public function testTheSyntaxOfEachDatabaseIsRecognized(string $sql, ?string $action, ?string $name): void
    {
        $statement = SavepointStatement::of($sql);

        self::assertSame([$action, $name], [$statement?->action, $statement?->name]);
    }

    public static function statements(): iterable
    {
        yield 'DBAL' => ['SAVEPOINT DOCTRINE_2', SavepointStatement::SET, 'doctrine_2'];
        yield 'quoted' => ['savepoint "Mine";', SavepointStatement::SET, 'mine'];
        yield 'SQL Server' => ['SAVE TRANSACTION DOCTRINE_2', SavepointStatement::SET, 'doctrine_2'];
        yield 'released' => ['RELEASE SAVEPOINT DOCTRINE_2', SavepointStatement::RELEASE, 'doctrine_2'];
        yield 'released, short' => ["release mine\n", SavepointStatement::RELEASE, 'mine'];
        yield 'rolled back to' => ['ROLLBACK TO SAVEPOINT DOCTRINE_2', SavepointStatement::ROLL_BACK_TO, 'doctrine_2'];
        yield 'rolled back to, short' => ['rollback to `mine`', SavepointStatement::ROLL_BACK_TO, 'mine'];
        yield 'rolled back to, long' => ['ROLLBACK WORK TO SAVEPOINT a', SavepointStatement::ROLL_BACK_TO, 'a'];
        yield 'rolled back to, SQL Server' => ['ROLLBACK TRANSACTION DOCTRINE_2', SavepointStatement::ROLL_BACK_TO, 'doctrine_2'];
        yield 'the whole transaction' => ['ROLLBACK', null, null];
        yield 'no savepoint' => ["UPDATE a SET b = 'SAVEPOINT c'", null, null];
        yield 'a table of that name' => ['INSERT INTO savepoint VALUES (1)', null, null];
    }
}
