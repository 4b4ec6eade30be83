<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A publisher at one moment: accepted = acknowledged + unacknowledged + queued. */
final class PublisherStatus
{
    /** The state of a publisher that cannot publish at all; `lastError` says why. */
    public const ABSENT = 'absent';

    /**
     * @param string      $state     `idle`, `connecting`, `connected`, `waiting` (to try again), `refused` (by the server, which
     *                               is asked again), `closed` or `absent`
     * @param string      $endpoint  where the server is; of several the one in use
     * @param int         $refused   messages that found the queue full; not among the accepted
     * @param string|null $lastError why the connection was last lost or refused
     * @param list<array{topic: string, reason: string, messages: int}> $refusals topics whose messages the server delivers to
     *                               nobody, the latest of this process; what was published just now is known after a flush
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

    /** Are messages accepted? Also while the server does not answer: they wait for it. */
    public function accepts(): bool
    {
        return self::ABSENT !== $this->state && 'closed' !== $this->state;
    }

    /** Whether messages wait for an acknowledgement that may come within moments: there is a connection. */
    public function isOnItsWay(): bool
    {
        return $this->queued + $this->unacknowledged > 0 && \in_array($this->state, ['connecting', 'connected'], true);
    }

    /** Why the server delivers messages to this topic to nobody, if more than before were refused; null: nothing is known of that. */
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
