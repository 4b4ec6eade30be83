<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A publisher at one moment: accepted = acknowledged + unacknowledged + queued. */
final class PublisherStatus
{
    /** The state of a publisher that cannot publish at all; `lastError` says why. */
    public const ABSENT = 'absent';

    /**
     * @param string      $state     `idle`, `connecting`, `connected`, `waiting` (to try again), `closed` or `absent`
     * @param string      $endpoint  where the server is
     * @param int         $refused   messages that found the queue full; not among the accepted
     * @param string|null $lastError why the connection was last lost or refused
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
    ) {
    }

    /** Are messages accepted? Also while the server does not answer: they wait for it. */
    public function accepts(): bool
    {
        return self::ABSENT !== $this->state && 'closed' !== $this->state;
    }
}
