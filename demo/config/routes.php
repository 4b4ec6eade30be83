<?php

declare(strict_types=1);

use Demo\Contact\ContactController;
use Demo\HomeController;
use Demo\Maintenance\MaintenanceController;
use Demo\Security\LoginController;
use Demo\Status\StatusController;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

return static function (RoutingConfigurator $routes): void {
    $routes->add('home', '/')->controller(HomeController::class);
    $routes->add('login', '/login')->controller(LoginController::class);
    $routes->add('logout', '/logout');

    $routes->add('contacts', '/contacts')->controller([ContactController::class, 'list']);
    $routes->add('contact_create', '/contacts/new')->controller([ContactController::class, 'create']);
    $id = ['id' => '\d{1,9}'];
    $routes->add('contact', '/contacts/{id}')->controller([ContactController::class, 'view'])->requirements($id);
    $routes->add('contact_edit', '/contacts/{id}/edit')
        ->controller([ContactController::class, 'edit'])->requirements($id);
    $routes->add('contact_delete', '/contacts/{id}/delete')
        ->controller([ContactController::class, 'delete'])->requirements($id)->methods(['POST']);

    $routes->add('status', '/status')->controller([StatusController::class, 'page']);
    $routes->add('status_php', '/status/php')->controller([StatusController::class, 'php']);

    $routes->add('maintenance', '/maintenance')->controller(MaintenanceController::class)->methods(['POST']);
};
