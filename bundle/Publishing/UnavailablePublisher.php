<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;

/**
 * The publisher when publishing is not possible: without the extension, switched off, or with invalid settings.
 *
 * The application works as if no page were open. The reason is logged once, with the first message that is not sent.
 */
final class UnavailablePublisher implements PublisherInterface, TicketIssuerInterface
{
    private bool $isReported = false;

    /**
     * @param string $reason a sentence with what to do
     * @param string $level a PSR-3 level; being switched off on purpose is not an error
     */
    public function __construct(
        private readonly string $reason,
        private readonly string $level,
        private readonly OutageLog $log,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        if (!$this->isReported) {
            $this->isReported = true;
            $this->log->affected($this->level, 'Live notifications are not sent: {reason}', ['reason' => $this->reason]);
        }

        return false;
    }

    public function flush(float $timeout = 1.0): bool
    {
        // Nothing was accepted, so nothing is pending.
        return true;
    }

    public function status(): PublisherStatus
    {
        return new PublisherStatus(PublisherStatus::UNAVAILABLE, '', lastError: $this->reason);
    }

    public function issue(array $claims, int $ttl): string
    {
        throw new TicketUnavailableException($this->reason);
    }
}
