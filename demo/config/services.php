<?php

declare(strict_types=1);

use Demo\Command\PrepareCommand;
use Demo\Import\RunImportHandler;
use Demo\Security\Claims;
use Demo\Status\ServerFacts;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

return static function (ContainerConfigurator $container): void {
    $services = $container->services()->defaults()->autowire()->autoconfigure();
    $services->load('Demo\\', '../src/')->exclude([
        '../src/{Entity,Kernel.php,autoload.php}',
        '../src/*/*Draft.php',
        '../src/Import/RunImport.php',
        '../src/Record/Record{Kind,Page}.php',
    ]);
    $services->set(PrepareCommand::class)->arg('$samples', '%kernel.project_dir%/data');
    $services->set(RunImportHandler::class)->arg('$pauseMicroseconds', 60_000);
    $services->set(ServerFacts::class)->arg('$addresses', '%demo.admin_addresses%');

    // Identity of users for the server, replacing the bundle's service.
    $services->alias(UserClaimsInterface::class, Claims::class);
};
