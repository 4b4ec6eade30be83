<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A snapshot of a publisher: accepted = acknowledged + unacknowledged + queued. */
final class PublisherStatus
{
    /** The state of a publisher that cannot publish at all; `lastError` is the reason. */
    public const UNAVAILABLE = 'unavailable';

    /**
     * @param string      $state     `idle`, `connecting`, `connected`, `backing-off` (until the next attempt), `refused` (by the
     *                               server; retried), `closed` or `unavailable`
     * @param string      $endpoint  the server's address; of several the one in use
     * @param int         $refused   messages refused because the queue was full; not accepted
     * @param string|null $lastError reason of the last lost or refused connection
     * @param list<array{topic: string, reason: string, messages: int}> $refusals topics whose messages the server refused, the
     *   latest of this process; complete after a flush
     */
    public function __construct(
        public readonly string $state,
        public readonly string $endpoint,
        public readonly int $queued = 0,
        public readonly int $unacknowledged = 0,
        public readonly int $accepted = 0,
        public readonly int $acknowledged = 0,
        public readonly int $refused = 0,
        public readonly int $reconnects = 0,
        public readonly ?string $lastError = null,
        public readonly array $refusals = [],
    ) {
    }

    /** Whether messages are accepted. They are while the server does not answer, and wait for it. */
    public function accepts(): bool
    {
        return self::UNAVAILABLE !== $this->state && 'closed' !== $this->state;
    }

    /** Whether messages are unacknowledged and a connection is open, so that the acknowledgement is imminent. */
    public function isInFlight(): bool
    {
        return $this->queued + $this->unacknowledged > 0 && \in_array($this->state, ['connecting', 'connected'], true);
    }

    /** The reason for which the server has refused messages to this topic since `$before`; null: none known. */
    public function newRefusal(string $topic, self $before): ?string
    {
        [$now, $then] = [$this->refusalOf($topic), $before->refusalOf($topic)];

        return null !== $now && $now['messages'] > ($then['messages'] ?? 0) ? $now['reason'] : null;
    }

    /** @return array{topic: string, reason: string, messages: int}|null */
    private function refusalOf(string $topic): ?array
    {
        foreach ($this->refusals as $refusal) {
            if ($refusal['topic'] === $topic) {
                return $refusal;
            }
        }

        return null;
    }
}
