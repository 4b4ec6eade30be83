<?php

declare(strict_types=1);

namespace Orosync\Profiler;

use Orosync\Entry\Guard;
use Orosync\Publishing\MessageEncoder;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Topic\DeclaredTopics;
use Psr\Log\LoggerInterface;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Records messages for the profiler, and warns of undeclared topics.
 *
 * Used only with the profiler, because it encodes each payload a second time. Bound: MAX_RECORDS messages per request,
 * MAX_BYTES of each payload; further messages are counted.
 */
final class RecordingPublisher implements PublisherInterface, ResetInterface
{
    private const MAX_RECORDS = 500;
    private const MAX_BYTES = 4096;

    /** @var list<PublishRecord> */
    private array $records = [];

    private int $notRecorded = 0;

    /** Status before the first message of this request. */
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
        $this->before ??= $this->guard->run('The profiler lacks the messages refused by the server', $this->status(...));
        $begin = hrtime(true);
        try {
            $accepted = ($this->publisher)()->publish($topic, $payload, $exclude, $eligible);
        } catch (\Throwable $e) {
            // The payload's own code has thrown; it is not called again.
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
     * Waits up to `$timeout` seconds for the server's acknowledgements of this request's messages, and records refused topics.
     * Call it after the response.
     */
    public function settle(float $timeout): void
    {
        if (null === $this->before) {
            return;
        }
        if ($this->status()->isInFlight()) {
            $this->flush($timeout);
        }
        $status = $this->status();
        foreach ($this->records as $index => $record) {
            $refusal = null === $record->reason && null === $record->problem ? $status->newRefusal($record->topic, $this->before) : null;
            if (null !== $refusal) {
                $this->records[$index] = $record->withProblem('the server does not deliver it: ' . rtrim($refusal, '.'));
            }
        }
    }

    /** @return list<PublishRecord> in order */
    public function records(): array
    {
        return $this->records;
    }

    /** Number of messages beyond the bound. */
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
            $json = MessageEncoder::encode($topic, $payload);
        } catch (\Throwable $e) {
            // Includes exceptions of the payload's own code at this second encoding: they must not reach the page.
            $reason = $accepted ? null : sprintf('Invalid: %s.', $e->getMessage());

            return new PublishRecord(self::readable($topic), null, null, $reason, $microseconds);
        }
        $bytes = \strlen($json);
        if ($bytes > self::MAX_BYTES) {
            $json = self::readable(substr($json, 0, self::MAX_BYTES)) . '…';
        }
        $reason = $accepted ? null : $this->reason();
        $problem = $accepted ? $this->topics->problem($topic) : null;
        if (null !== $problem) {
            $warn = fn (): mixed => $this->logger->warning('Accepted, but {problem}.', ['problem' => $problem]);
            $this->guard->run('No warning was logged about an undeclared topic', $warn);
        }

        return new PublishRecord(self::readable($topic), $json, $bytes, $reason, $microseconds, $problem);
    }

    private function reason(): string
    {
        try {
            $status = $this->status();
        } catch (\Throwable $e) {
            return sprintf('Unknown reason; the publisher\'s state cannot be read: %s', $e->getMessage());
        }

        return PublisherStatus::UNAVAILABLE === $status->state
            ? (string) $status->lastError
            : sprintf(
                'The queue is full (%d queued, %d unacknowledged).',
                $status->queued,
                $status->unacknowledged,
            );
    }

    /** Replaces invalid UTF-8, such as a character that was cut. */
    private static function readable(string $text): string
    {
        return mb_scrub($text, 'UTF-8');
    }
}
