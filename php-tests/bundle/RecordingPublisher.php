<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;

/** A publisher that keeps its messages instead of sending them. */
final class RecordingPublisher implements PublisherInterface
{
    /** @var list<array{topic: string, json: string}> */
    private array $messages = [];

    /** Thrown by publish(), as by a decorator of an application. */
    public ?\Exception $failure = null;

    public function __construct(
        private readonly bool $accepts = true,
        private readonly bool $acknowledges = true,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        null === $this->failure || throw $this->failure;
        if ('' === $topic || 1 !== preg_match('//u', $topic)) {
            return false;
        }
        try {
            $json = json_encode($payload, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES);
        } catch (\JsonException) {
            return false;
        }
        if ($this->accepts) {
            $this->messages[] = ['topic' => $topic, 'json' => $json];
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
            $this->acknowledges ? 'connected' : 'backing-off',
            'memory:',
            unacknowledged: $this->acknowledges ? 0 : $accepted,
            accepted: $accepted,
            acknowledged: $this->acknowledges ? $accepted : 0,
            lastError: $this->acknowledges ? null : 'connection refused',
        );
    }

    /** @return list<string> the payloads of a topic as pages get them; all messages are forgotten */
    public function take(string $topic): array
    {
        $payloads = array_column(array_filter($this->messages, static fn (array $message): bool => $topic === $message['topic']), 'json');
        $this->messages = [];

        return $payloads;
    }
}
