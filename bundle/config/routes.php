<?php

declare(strict_types=1);

use Orosync\Controller\TicketController;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

return static function (RoutingConfigurator $routes): void {
    // Name and path of OroSyncBundle: its JavaScript uses this route name.
    $routes->add('oro_sync_ticket', '/sync/ticket')
        ->controller(TicketController::class)
        ->methods(['POST']);
};
