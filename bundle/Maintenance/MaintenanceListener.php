<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

use Orosync\Entry\Guard;

/** Announces the maintenance mode of an Oro application, which dispatches `maintenance.on` and `maintenance.off`. */
final class MaintenanceListener
{
    private const LOST = 'Open pages were not notified of the maintenance mode';

    /** @param \Closure(): MaintenanceAnnouncer $announcer */
    public function __construct(
        private readonly \Closure $announcer,
        private readonly Guard $guard,
    ) {
    }

    public function onMaintenanceOn(): void
    {
        $this->guard->run(self::LOST, fn (): bool => ($this->announcer)()->announceOn(), false);
    }

    public function onMaintenanceOff(): void
    {
        $this->guard->run(self::LOST, fn (): bool => ($this->announcer)()->announceOff(), false);
    }
}
