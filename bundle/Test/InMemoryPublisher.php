<?php

declare(strict_types=1);

namespace Orosync\Test;

use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;

/**
 * Keeps what an application publishes in its tests, in place of sending it (`orosync.test: true`).
 *
 * It needs neither extension nor server, and refuses what those would refuse. Owns the messages until the kernel is
 * booted anew, or until forget(); no bound, for a test ends. Not tagged kernel.reset: what several requests to one
 * kernel have published is looked at together.
 */
final class InMemoryPublisher implements PublisherInterface
{
    /** The bounds of the extension: a topic in bytes, a payload in bytes of JSON. */
    private const MAX_TOPIC_BYTES = 255;
    private const MAX_PAYLOAD_BYTES = 1_048_576;

    /** @var list<PublishedMessage> */
    private array $messages = [];

    /** @var list<string> */
    private array $refusals = [];

    /** Of all that was published, also of what is forgotten since. */
    private int $accepted = 0;

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        try {
            $json = json_encode($payload, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
        } catch (\JsonException $e) {
            return $this->refuse($topic, 'the payload is not JSON: ' . $e->getMessage());
        }
        if (1 !== preg_match('/^[^\x00-\x1F\x7F]+$/Du', $topic) || \strlen($topic) > self::MAX_TOPIC_BYTES) {
            return $this->refuse($topic, sprintf(
                'a topic has 1 to %d bytes of UTF-8, without control characters',
                self::MAX_TOPIC_BYTES,
            ));
        }
        if (\strlen($json) > self::MAX_PAYLOAD_BYTES) {
            return $this->refuse($topic, sprintf(
                'the payload has %d bytes of JSON, at most %d are possible',
                \strlen($json),
                self::MAX_PAYLOAD_BYTES,
            ));
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

    private function refuse(string $topic, string $reason): bool
    {
        $this->refusals[] = json_encode($topic, \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_UNESCAPED_SLASHES) . ': ' . $reason;

        return false;
    }
}
