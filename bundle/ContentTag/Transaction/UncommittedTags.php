<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;
use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\Entry\Guard;

/**
 * Tags of flushes within a transaction that is still open.
 *
 * They are announced, each once, when the outermost transaction has committed, and forgotten when it, or the savepoint
 * that they came after, is rolled back, and when the database refuses the commit. Bound: MAX_TAGS for a connection; what
 * is beyond it is not announced, and the log says how many. Nothing is forgotten between two messages of a worker, for the
 * transaction is not either. What is committed stays so, whatever announcing it throws.
 */
final class UncommittedTags
{
    private const MAX_TAGS = 100_000;

    /**
     * By what reports: the driver's native connection, {@see Dbal2Connection}, or {@see \Orosync\Oro\RootTransaction}.
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

    /** Commits and rollbacks will be reported by this object from now on; what it held is forgotten. */
    public function watch(object $reporting): void
    {
        $this->held[$reporting] = new HeldTags(self::MAX_TAGS);
    }

    /**
     * Keep the tags if the connection is in a transaction whose end will be reported.
     *
     * @param list<string> $tags
     *
     * @return bool false: not kept, for there is nothing to wait for
     */
    public function hold(Connection $connection, array $tags): bool
    {
        if (0 === \count($this->held) || !$connection->isTransactionActive()) {
            return false;
        }
        // Under DBAL 2 the connection reports for itself.
        $reporting = isset($this->held[$connection]) ? $connection : NativeConnection::of($connection);

        return null !== $reporting && $this->keep($reporting, $tags);
    }

    /**
     * Keep the tags until this object reports.
     *
     * @param list<string> $tags
     *
     * @return bool false: not kept, for it will never report
     */
    public function keep(object $reporting, array $tags): bool
    {
        if (!isset($this->held[$reporting])) {
            return false;
        }
        $this->held[$reporting]->add($tags);

        return true;
    }

    /** A statement that the driver has executed: it may have been about a savepoint. */
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
     * Run the commit of the outermost transaction, and announce what it has made true.
     *
     * @template T of bool|null
     *
     * @param \Closure(): T $commit it throws, or gives false, where the database refuses
     *
     * @return T
     */
    public function commit(object $reporting, \Closure $commit): ?bool
    {
        // MySQL itself commits before it defines a table, and then PDO refuses to.
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
            $this->guard->run('A change is not announced', fn () => ($this->announcer)()->announce($held->tags()));
        }
        if ($held->dropped() > 0) {
            $this->guard->note('Changes of a transaction are not announced', new \OverflowException(sprintf(
                'it has changed more than %d pieces of content; the last %d are left out',
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
