<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;
use Orosync\ContentTag\TagAnnouncerInterface;
use Psr\Log\LoggerInterface;

/**
 * Tags of flushes within a transaction that is still open.
 *
 * They are announced, each once, when the outermost transaction has committed, and forgotten when it, or the savepoint
 * that they came after, is rolled back. Bound: MAX_TAGS for a connection; what is beyond it is not announced, and the log
 * says how many. Nothing is forgotten between two messages of a worker, for the transaction is not either.
 */
final class UncommittedTags
{
    private const MAX_TAGS = 100_000;

    /** @var \WeakMap<object, HeldTags> by what reports: the driver's native connection, or {@see Dbal2Connection} */
    private \WeakMap $held;

    /** @param \Closure(): TagAnnouncerInterface $announcer */
    public function __construct(
        private readonly \Closure $announcer,
        private readonly LoggerInterface $logger,
    ) {
        $this->held = new \WeakMap();
    }

    /** A connection whose commits and rollbacks will be reported. */
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
        $reporting = isset($this->held[$connection]) ? $connection : $connection->getNativeConnection();
        if (!\is_object($reporting) || !isset($this->held[$reporting])) {
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

    public function committed(object $reporting): void
    {
        $held = $this->held[$reporting];
        $this->watch($reporting);
        ($this->announcer)()->announce($held->tags());
        if ($held->dropped() > 0) {
            $this->logger->warning(
                'A transaction has changed more than {max} pieces of content; {dropped} more are not announced.',
                ['max' => self::MAX_TAGS, 'dropped' => $held->dropped()],
            );
        }
    }

    public function rolledBack(object $reporting): void
    {
        $this->watch($reporting);
    }
}
