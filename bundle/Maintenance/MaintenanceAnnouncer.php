<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

use Orosync\Entry\Guard;
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
        private readonly Guard $guard,
    ) {
    }

    /** @return bool whether the message was accepted; {@see PublisherInterface::flush()} waits for its arrival */
    public function announceOn(): bool
    {
        return $this->announce(true);
    }

    /** @return bool likewise */
    public function announceOff(): bool
    {
        return $this->announce(false);
    }

    /** The mode is switched whether or not anybody could be told. */
    private function announce(bool $isOn): bool
    {
        return $this->guard->run(
            'Open pages do not know that the maintenance mode was switched; switching it again tells them',
            fn (): bool => $this->publisher->publish(self::TOPIC, [
                'isOn' => $isOn,
                'userId' => $this->user->claims()['uid'] ?? null,
            ]),
            false,
        );
    }
}
