<?php

declare(strict_types=1);

namespace Orosync\Test;

use Orosync\Publishing\MessageForm;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Publishing\UnsendableMessageException;
use Orosync\Topic\DeclaredTopics;

/**
 * Keeps what an application publishes in its tests, in place of sending it (`orosync.test: true`).
 *
 * It needs neither extension nor server, and refuses what those would refuse. Owns the messages until the kernel is
 * booted anew, or until forget(); no bound, for a test ends. Not tagged kernel.reset: what several requests to one
 * kernel have published is looked at together.
 */
final class InMemoryPublisher implements PublisherInterface
{
    /** @var list<PublishedMessage> */
    private array $messages = [];

    /** @var list<string> */
    private array $refusals = [];

    /** Of all that was published, also of what is forgotten since. */
    private int $accepted = 0;

    public function __construct(private readonly DeclaredTopics $topics = new DeclaredTopics())
    {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        try {
            $json = MessageForm::encode($topic, $payload);
        } catch (UnsendableMessageException $e) {
            $name = json_encode($topic, \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
            $this->refusals[] = $name . ': ' . $e->getMessage();

            return false;
        }
        $complaint = $this->topics->complaint($topic);
        if (null !== $complaint) {
            // As at the server: accepted, and for nobody.
            $this->refusals[] = json_encode($topic, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE) . ': ' . $complaint;
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

    /** @return list<PublishedMessage> in their order */
    public function messages(): array
    {
        return $this->messages;
    }

    /** @return list<string> what would not have been sent either, as "topic: reason" */
    public function refusals(): array
    {
        return $this->refusals;
    }

    /** For a test that looks only at what comes next. */
    public function forget(): void
    {
        $this->messages = [];
        $this->refusals = [];
    }
}
