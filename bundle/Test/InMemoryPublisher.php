<?php

declare(strict_types=1);

namespace Orosync\Test;

use Orosync\Publishing\MessageEncoder;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Publishing\UnsendableMessageException;
use Orosync\Topic\DeclaredTopics;

/**
 * Keeps an application's messages in memory instead of sending them, for its tests (`orosync.test: true`).
 *
 * Needs neither extension nor server, and refuses the same messages as they do. Owns the messages until the kernel is rebooted
 * or clear() is called; unbounded, because tests are short. Not tagged kernel.reset, so the messages of several requests to
 * one kernel are kept together.
 */
final class InMemoryPublisher implements PublisherInterface
{
    /** @var list<PublishedMessage> */
    private array $messages = [];

    /** @var list<string> */
    private array $refusals = [];

    /** Number of accepted messages, including cleared ones. */
    private int $accepted = 0;

    public function __construct(private readonly DeclaredTopics $topics = new DeclaredTopics())
    {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        try {
            $json = MessageEncoder::encode($topic, $payload);
        } catch (UnsendableMessageException $e) {
            $name = json_encode($topic, \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
            $this->refusals[] = $name . ': ' . $e->getMessage();

            return false;
        }
        $problem = $this->topics->problem($topic);
        if (null !== $problem) {
            // Like the server: accepted, but not delivered.
            $this->refusals[] = json_encode($topic, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE) . ': ' . $problem;
            ++$this->accepted;

            return true;
        }
        $decoded = json_decode($json, true, 512, \JSON_THROW_ON_ERROR);
        $this->messages[] = new PublishedMessage($topic, $decoded, $json, $exclude, $eligible);
        ++$this->accepted;

        return true;
    }

    public function flush(float $timeout = 1.0): bool
    {
        return true;
    }

    public function status(): PublisherStatus
    {
        return new PublisherStatus(
            'connected',
            'in-memory:',
            accepted: $this->accepted,
            acknowledged: $this->accepted,
        );
    }

    /** @return list<PublishedMessage> in order */
    public function messages(): array
    {
        return $this->messages;
    }

    /** @return list<string> messages that would not be delivered, as "topic: reason" */
    public function refusals(): array
    {
        return $this->refusals;
    }

    /** Removes all messages, for a test that checks only later ones. */
    public function clear(): void
    {
        $this->messages = [];
        $this->refusals = [];
    }
}
