<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;

/**
 * Tells all pages that maintenance has begun or ended.
 *
 * The current user goes with it, so that the page of the one who switched it on is not blocked by it. On a console
 * there is no user, and every page is.
 */
final class MaintenanceAnnouncer
{
    public const TOPIC = 'oro/maintenance';

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly UserClaimsInterface $user,
    ) {
    }

    /** @return bool whether the message was accepted; {@see PublisherInterface::flush()} waits for its arrival */
    public function announceOn(): bool
    {
        return $this->publisher->publish(self::TOPIC, ['isOn' => true, 'userId' => $this->userId()]);
    }

    /** @return bool likewise */
    public function announceOff(): bool
    {
        return $this->publisher->publish(self::TOPIC, ['isOn' => false, 'userId' => $this->userId()]);
    }

    private function userId(): ?int
    {
        return $this->user->claims()['uid'] ?? null;
    }
}
