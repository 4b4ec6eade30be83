<?php

declare(strict_types=1);

namespace Orosync\Profiler;

use Orosync\Entry\Guard;
use Orosync\Publishing\MessageForm;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Topic\DeclaredTopics;
use Psr\Log\LoggerInterface;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Writes down what goes through the publisher, for the profiler; warns of topics that are declared nowhere.
 *
 * There only where there is a profiler, for it encodes each payload a second time. Bound: MAX_RECORDS messages of a
 * request with MAX_BYTES of each payload; what is beyond them is counted.
 */
final class RecordingPublisher implements PublisherInterface, ResetInterface
{
    private const MAX_RECORDS = 500;
    private const MAX_BYTES = 4096;

    /** @var list<PublishRecord> */
    private array $records = [];

    private int $notRecorded = 0;

    /** Before the first message of this request. */
    private ?PublisherStatus $before = null;

    /** @param \Closure(): PublisherInterface $publisher */
    public function __construct(
        private readonly \Closure $publisher,
        private readonly DeclaredTopics $topics,
        private readonly LoggerInterface $logger,
        private readonly Guard $guard,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        $this->before ??= $this->guard->run('The profiler does not show what the server refuses', $this->status(...));
        $begin = hrtime(true);
        try {
            $accepted = ($this->publisher)()->publish($topic, $payload, $exclude, $eligible);
        } catch (\Throwable $e) {
            // The payload's own code has failed; it is not asked a second time.
            $reason = sprintf('%s: %s', $e::class, $e->getMessage());
            $spent = (hrtime(true) - $begin) / 1000;
            $this->add(static fn (): PublishRecord => new PublishRecord($topic, null, null, $reason, $spent));

            throw $e;
        }
        $microseconds = (hrtime(true) - $begin) / 1000;
        $this->add(fn (): PublishRecord => $this->record($topic, $payload, $accepted, $microseconds));

        return $accepted;
    }

    public function flush(float $timeout = 1.0): bool
    {
        return ($this->publisher)()->flush($timeout);
    }

    public function status(): PublisherStatus
    {
        return ($this->publisher)()->status();
    }

    /**
     * Wait, within a bound, for what the server says of this request's messages, and note what it delivers to nobody. For the
     * time after the response.
     */
    public function settle(float $timeout): void
    {
        if (null === $this->before) {
            return;
        }
        if ($this->status()->isOnItsWay()) {
            $this->flush($timeout);
        }
        $status = $this->status();
        foreach ($this->records as $index => $record) {
            $refusal = null === $record->reason && null === $record->complaint ? $status->newRefusal($record->topic, $this->before) : null;
            if (null !== $refusal) {
                $this->records[$index] = $record->withComplaint('the server delivers it to nobody: ' . rtrim($refusal, '.'));
            }
        }
    }

    /** @return list<PublishRecord> in their order */
    public function records(): array
    {
        return $this->records;
    }

    /** How many found the bound reached. */
    public function notRecorded(): int
    {
        return $this->notRecorded;
    }

    public function reset(): void
    {
        $this->records = [];
        $this->notRecorded = 0;
        $this->before = null;
    }

    /** @param \Closure(): PublishRecord $record */
    private function add(\Closure $record): void
    {
        if (\count($this->records) < self::MAX_RECORDS) {
            $this->records[] = $record();
        } else {
            ++$this->notRecorded;
        }
    }

    private function record(string $topic, mixed $payload, bool $accepted, float $microseconds): PublishRecord
    {
        try {
            $json = MessageForm::encode($topic, $payload);
        } catch (\Throwable $e) {
            // Also what the payload's own code throws at this second time: the page has nothing to do with it.
            $reason = $accepted ? null : sprintf('Not possible: %s.', $e->getMessage());

            return new PublishRecord(self::readable($topic), null, null, $reason, $microseconds);
        }
        $bytes = \strlen($json);
        if ($bytes > self::MAX_BYTES) {
            $json = self::readable(substr($json, 0, self::MAX_BYTES)) . '…';
        }
        $reason = $accepted ? null : $this->reason();
        $complaint = $accepted ? $this->topics->complaint($topic) : null;
        if (null !== $complaint) {
            $warn = fn (): mixed => $this->logger->warning('Accepted, but {complaint}.', ['complaint' => $complaint]);
            $this->guard->run('The log does not warn of a topic that is declared nowhere', $warn);
        }

        return new PublishRecord(self::readable($topic), $json, $bytes, $reason, $microseconds, $complaint);
    }

    private function reason(): string
    {
        try {
            $status = $this->status();
        } catch (\Throwable $e) {
            return sprintf('No reason is known, for the state of the publisher is not: %s', $e->getMessage());
        }

        return PublisherStatus::ABSENT === $status->state
            ? (string) $status->lastError
            : sprintf(
                'The queue is full (%d wait, %d are unacknowledged).',
                $status->queued,
                $status->unacknowledged,
            );
    }

    /** What was cut within a character, or was no UTF-8 before. */
    private static function readable(string $text): string
    {
        return mb_scrub($text, 'UTF-8');
    }
}
