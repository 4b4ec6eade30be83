<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

/** Announces the maintenance mode of an Oro application, which dispatches `maintenance.on` and `maintenance.off`. */
final class MaintenanceListener
{
    public function __construct(private readonly MaintenanceAnnouncer $announcer)
    {
    }

    public function onMaintenanceOn(): void
    {
        $this->announcer->announceOn();
    }

    public function onMaintenanceOff(): void
    {
        $this->announcer->announceOff();
    }
}
