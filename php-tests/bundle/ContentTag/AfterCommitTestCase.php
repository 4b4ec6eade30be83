<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\DBAL\Configuration;
use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\ContentTag\Transaction\CommitMiddleware;
use Orosync\ContentTag\Transaction\UncommittedTags;
use Orosync\Entry\Guard;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;

/**
 * Checks on each database that announced changes are visible to other connections.
 *
 * Every test saves rows, each with a tag, and compares the announced tags with the rows that a second connection reads.
 */
abstract class AfterCommitTestCase extends TestCase implements TagAnnouncerInterface
{
    protected Connection $connection;
    protected Connection $reader;
    private UncommittedTags $uncommitted;

    /** @var list<string> */
    private array $announced = [];

    /** @return array<string, mixed> for DriverManager; the same database each time, without the table `saved` */
    abstract protected static function database(): array;

    protected static function connect(UncommittedTags $uncommitted): Connection
    {
        $configuration = new Configuration();
        $configuration->setMiddlewares([new CommitMiddleware($uncommitted)]);

        return DriverManager::getConnection(static::database(), $configuration);
    }

    protected function setUp(): void
    {
        $this->uncommitted = new UncommittedTags(fn (): TagAnnouncerInterface => $this, new Guard(new NullLogger()));
        $this->connection = static::connect($this->uncommitted);
        $this->reader = DriverManager::getConnection(static::database());
        // DBAL 4 always nests with savepoints.
        if (method_exists($this->connection, 'setNestTransactionsWithSavepoints')) {
            $this->connection->setNestTransactionsWithSavepoints(true);
        }
        $this->reader->executeStatement('DROP TABLE IF EXISTS saved');
        $this->reader->executeStatement('CREATE TABLE saved (tag VARCHAR(50))');
    }

    protected function tearDown(): void
    {
        // Also called if setUp() has skipped the test.
        if (isset($this->connection, $this->reader)) {
            $this->connection->close();
            $this->reader->close();
        }
    }

    public function announce(array $tags): void
    {
        array_push($this->announced, ...$tags);
    }

    public function testTagsAreAnnouncedAfterTheOutermostCommit(): void
    {
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->beginTransaction();
        $this->save('b');
        $this->connection->commit();
        $this->announcedIs();
        $this->connection->commit();

        $this->announcedIs('a', 'b');
    }

    public function testTagsOfARolledBackInnerTransactionAreDropped(): void
    {
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->beginTransaction();
        $this->save('b');
        $this->connection->rollBack();
        $this->save('c');
        $this->connection->commit();

        $this->announcedIs('a', 'c');
    }

    public function testTagsAreDroppedIfTheOutermostTransactionIsRolledBack(): void
    {
        $this->connection->beginTransaction();
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->commit();
        $this->connection->rollBack();
        $this->save('b');

        $this->announcedIs('b');
    }

    public function testTagsOfTwoConsecutiveInnerTransactionsAreAnnounced(): void
    {
        $this->connection->beginTransaction();
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->commit();
        $this->connection->beginTransaction();
        $this->save('b');
        $this->connection->rollBack();
        $this->connection->commit();

        $this->announcedIs('a');
    }

    public function testARollbackAcrossSeveralLevelsDropsTheTagsOfAll(): void
    {
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->createSavepoint('level_one');
        $this->save('b');
        $this->connection->createSavepoint('level_two');
        $this->save('c');
        $this->connection->rollbackSavepoint('level_one');
        $this->save('d');
        $this->connection->rollbackSavepoint('level_one');
        $this->save('e');
        $this->connection->commit();

        $this->announcedIs('a', 'e');
    }

    public function testSavepointsInSqlOfTheApplicationAreFollowed(): void
    {
        $this->connection->beginTransaction();
        $this->connection->executeStatement('savepoint Mine');
        $this->save('a');
        $this->connection->executeStatement("ROLLBACK TO SAVEPOINT mine");
        $this->save('b');
        $this->connection->executeStatement('RELEASE SAVEPOINT mine');
        $this->connection->commit();

        $this->announcedIs('b');
    }

    public function testARollbackToASavepointKeepsEarlierTags(): void
    {
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->rollBack();
        $this->connection->commit();

        $this->announcedIs('a');
    }

    public function testTagsAreDroppedAfterAFailedStatement(): void
    {
        $this->connection->beginTransaction();
        $this->save('a');
        $this->connection->beginTransaction();
        $this->save('b');
        try {
            $this->connection->executeStatement('INSERT INTO missing VALUES (1)');
            self::fail('The statement should fail: the table does not exist.');
        } catch (\Doctrine\DBAL\Exception) {
            $this->connection->rollBack();
        }
        $this->connection->commit();

        $this->announcedIs('a');
    }

    public function testTagsAreAnnouncedAtOnceWithoutATransaction(): void
    {
        $this->save('a');

        $this->announcedIs('a');
    }

    protected function save(string $tag): void
    {
        $this->connection->insert('saved', ['tag' => $tag]);
        if (!$this->uncommitted->hold($this->connection, [$tag])) {
            $this->announce([$tag]);
        }
    }

    protected function announcedIs(string ...$tags): void
    {
        self::assertSame($tags, $this->announced);
        self::assertSame($tags, $this->reader->fetchFirstColumn('SELECT DISTINCT tag FROM saved ORDER BY tag'), 'tags of the rows that another connection reads');
    }
}
