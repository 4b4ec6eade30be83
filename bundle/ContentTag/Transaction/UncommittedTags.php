<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;
use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\Entry\Guard;

/**
 * Holds the tags of flushes within open transactions.
 *
 * Announces them without duplicates after the commit of the outermost transaction. Discards them when the transaction or their
 * savepoint is rolled back, or when the database refuses the commit. Bound: MAX_TAGS per connection; further tags are not
 * announced, and their number is logged. Not reset between two messages of a worker, because the transaction stays open too. An
 * exception during the announcement does not affect the commit.
 */
final class UncommittedTags
{
    private const MAX_TAGS = 100_000;

    /**
     * By reporting object: the driver's native connection, {@see Dbal2Connection}, or {@see \Orosync\Oro\RootTransaction}.
     *
     * @var \WeakMap<object, HeldTags>
     */
    private \WeakMap $held;

    /** @param \Closure(): TagAnnouncerInterface $announcer */
    public function __construct(
        private readonly \Closure $announcer,
        private readonly Guard $guard,
    ) {
        $this->held = new \WeakMap();
    }

    /** Registers an object that will report commits and rollbacks, and discards the tags that it held. */
    public function watch(object $reporting): void
    {
        $this->held[$reporting] = new HeldTags(self::MAX_TAGS);
    }

    /**
     * Holds the tags if the connection is in a transaction whose end will be reported.
     *
     * @param list<string> $tags
     *
     * @return bool false: not held, because there is no commit to wait for
     */
    public function hold(Connection $connection, array $tags): bool
    {
        if (0 === \count($this->held) || !$connection->isTransactionActive()) {
            return false;
        }
        // Under DBAL 2 the connection itself reports.
        $reporting = isset($this->held[$connection]) ? $connection : NativeConnection::of($connection);

        return null !== $reporting && $this->keep($reporting, $tags);
    }

    /**
     * Holds the tags until this object reports.
     *
     * @param list<string> $tags
     *
     * @return bool false: not held, because the object is not registered
     */
    public function keep(object $reporting, array $tags): bool
    {
        if (!isset($this->held[$reporting])) {
            return false;
        }
        $this->held[$reporting]->add($tags);

        return true;
    }

    /** Tracks savepoints: called for each statement that the driver has executed. */
    public function executed(object $reporting, string $sql): void
    {
        $statement = SavepointStatement::of($sql);
        $held = $this->held[$reporting];
        match ($statement?->action) {
            SavepointStatement::SET => $held->setSavepoint($statement->name),
            SavepointStatement::RELEASE => $held->releaseSavepoint($statement->name),
            SavepointStatement::ROLL_BACK_TO => $held->rollBackTo($statement->name),
            null => null,
        };
    }

    /**
     * Runs the commit of the outermost transaction and announces its tags.
     *
     * @template T of bool|null
     *
     * @param \Closure(): T $commit throws or returns false if the database refuses
     *
     * @return T
     */
    public function commit(object $reporting, \Closure $commit): ?bool
    {
        // MySQL commits implicitly before DDL; then PDO refuses the commit.
        $isCommitted = $reporting instanceof \PDO && !$reporting->inTransaction();
        try {
            $done = $commit();
            $isCommitted = $isCommitted || false !== $done;

            return $done;
        } finally {
            if ($isCommitted) {
                $this->committed($reporting);
            } else {
                $this->rolledBack($reporting);
            }
        }
    }

    public function committed(object $reporting): void
    {
        $held = $this->held[$reporting];
        $this->watch($reporting);
        if ([] !== $held->tags()) {
            $this->guard->run('A change was not announced', fn () => ($this->announcer)()->announce($held->tags()));
        }
        if ($held->dropped() > 0) {
            $this->guard->note('Changes of a transaction were not announced', new \OverflowException(sprintf(
                'more than %d tags; the last %d are left out',
                self::MAX_TAGS,
                $held->dropped(),
            )));
        }
    }

    public function rolledBack(object $reporting): void
    {
        $this->watch($reporting);
    }
}
