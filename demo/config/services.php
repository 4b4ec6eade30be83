<?php

declare(strict_types=1);

use Demo\Command\PrepareCommand;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

return static function (ContainerConfigurator $container): void {
    $services = $container->services()->defaults()->autowire()->autoconfigure();
    $services->load('Demo\\', '../src/')->exclude(['../src/{Entity,Kernel.php,autoload.php}', '../src/*/*Draft.php']);
    $services->set(PrepareCommand::class)->arg('$samples', '%kernel.project_dir%/data/contacts.csv');
};
