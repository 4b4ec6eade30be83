<?php

declare(strict_types=1);

use Demo\Company\CompanyController;
use Demo\Contact\ContactController;
use Demo\Customer\OrdersController;
use Demo\Deal\BoardController;
use Demo\Deal\DealController;
use Demo\HomeController;
use Demo\Import\ImportController;
use Demo\Maintenance\MaintenanceController;
use Demo\Security\LoginController;
use Demo\Status\StatusController;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

return static function (RoutingConfigurator $routes): void {
    $id = ['id' => '\d{1,9}'];

    $routes->add('home', '/')->controller(HomeController::class);
    $routes->add('login', '/login')->controller([LoginController::class, 'login']);
    $routes->add('start', '/start')->controller([LoginController::class, 'start']);
    $routes->add('logout', '/logout');

    // These names are explained in src/Record/RecordController.php.
    foreach (
        [
            'company' => ['companies', CompanyController::class],
            'contact' => ['contacts', ContactController::class],
            'deal' => ['deals', DealController::class],
        ] as $name => [$plural, $controller]
    ) {
        $routes->add($plural, "/$plural")->controller([$controller, 'list']);
        $routes->add("{$name}_create", "/$plural/new")->controller([$controller, 'create']);
        $routes->add($name, "/$plural/{id}")->controller([$controller, 'view'])->requirements($id);
        $routes->add("{$name}_edit", "/$plural/{id}/edit")->controller([$controller, 'edit'])->requirements($id);
        $routes->add("{$name}_delete", "/$plural/{id}/delete")
            ->controller([$controller, 'delete'])->requirements($id)->methods(['POST']);
    }

    $routes->add('board', '/board')->controller([BoardController::class, 'board']);
    $routes->add('board_move', '/board/{id}')
        ->controller([BoardController::class, 'move'])->requirements($id)->methods(['POST']);

    $routes->add('orders', '/orders')->controller(OrdersController::class);

    $routes->add('imports', '/import')->controller([ImportController::class, 'list'])->methods(['GET']);
    $routes->add('import_start', '/import')->controller([ImportController::class, 'start'])->methods(['POST']);
    $routes->add('import', '/import/{id}')->controller([ImportController::class, 'view'])->requirements($id);
    $routes->add('import_state', '/import/{id}/state')
        ->controller([ImportController::class, 'state'])->requirements($id);

    $routes->add('status', '/status')->controller([StatusController::class, 'page']);
    $routes->add('status_php', '/status/php')->controller([StatusController::class, 'php']);
    $routes->add('status_server', '/status/server')->controller([StatusController::class, 'server']);

    // Numbers of the nodes, for pages that show their node. Public.
    $routes->add('nodes', '/nodes')->controller([StatusController::class, 'nodes']);

    $routes->add('maintenance', '/maintenance')->controller(MaintenanceController::class)->methods(['POST']);
};
