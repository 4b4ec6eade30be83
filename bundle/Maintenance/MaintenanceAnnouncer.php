<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;

/**
 * Announces the start and the end of maintenance to all pages.
 *
 * The message contains the id of the current user, whose own pages ignore it. On the console there is no user, so it applies to
 * all pages.
 */
final class MaintenanceAnnouncer
{
    public const TOPIC = 'oro/maintenance';

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly UserClaimsInterface $user,
        private readonly Guard $guard,
    ) {
    }

    /** @return bool whether the message was accepted; {@see PublisherInterface::flush()} waits for its acknowledgement */
    public function announceOn(): bool
    {
        return $this->announce(true);
    }

    /** @return bool whether the message was accepted */
    public function announceOff(): bool
    {
        return $this->announce(false);
    }

    /** Never throws: the mode is switched even if the announcement fails. */
    private function announce(bool $isOn): bool
    {
        return $this->guard->run(
            'Open pages were not notified of the maintenance mode; switch it again to notify them',
            fn (): bool => $this->publisher->publish(self::TOPIC, [
                'isOn' => $isOn,
                'userId' => $this->user->claims()['uid'] ?? null,
            ]),
            false,
        );
    }
}
