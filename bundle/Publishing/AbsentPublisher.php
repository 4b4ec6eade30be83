<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;

/**
 * Stands in where nothing can be published: without the extension, switched off, or with settings that cannot work.
 *
 * The application works as if nobody was watching. The reason is logged once, when the first message is
 * not sent.
 */
final class AbsentPublisher implements PublisherInterface, TicketIssuerInterface
{
    private bool $said = false;

    /**
     * @param string $reason a sentence that says what to do
     * @param string $level  a PSR-3 level: what was switched off on purpose is no warning
     */
    public function __construct(
        private readonly string $reason,
        private readonly string $level,
        private readonly OutageLog $log,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        if (!$this->said) {
            $this->said = true;
            $this->log->met($this->level, 'Live notifications are not sent: {reason}', ['reason' => $this->reason]);
        }

        return false;
    }

    public function flush(float $timeout = 1.0): bool
    {
        // Nothing was accepted, so nothing is missing.
        return true;
    }

    public function status(): PublisherStatus
    {
        return new PublisherStatus(PublisherStatus::ABSENT, '', lastError: $this->reason);
    }

    public function issue(array $claims, int $ttl): string
    {
        throw new TicketUnavailableException($this->reason);
    }
}
