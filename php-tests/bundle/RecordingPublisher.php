<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;

/** A publisher that keeps its messages instead of sending them. */
final class RecordingPublisher implements PublisherInterface
{
    /** @var list<array{topic: string, payload: mixed}> */
    private array $messages = [];

    public function __construct(
        private readonly bool $accepts = true,
        private readonly bool $acknowledges = true,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        if ($this->accepts) {
            $this->messages[] = ['topic' => $topic, 'payload' => $payload];
        }

        return $this->accepts;
    }

    public function flush(float $timeout = 1.0): bool
    {
        return $this->acknowledges;
    }

    public function status(): PublisherStatus
    {
        $accepted = \count($this->messages);

        return new PublisherStatus(
            $this->acknowledges ? 'connected' : 'waiting',
            'memory:',
            unacknowledged: $this->acknowledges ? 0 : $accepted,
            accepted: $accepted,
            acknowledged: $this->acknowledges ? $accepted : 0,
            lastError: $this->acknowledges ? null : 'connection refused',
        );
    }

    /** @return list<mixed> payloads of the topic, and forgets all messages */
    public function take(string $topic): array
    {
        $payloads = array_column(array_filter($this->messages, static fn (array $message): bool => $topic === $message['topic']), 'payload');
        $this->messages = [];

        return $payloads;
    }
}
