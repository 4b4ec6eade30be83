<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Test\InMemoryPublisher;

// Loaded by `orosync.test: true`. Public, because the assertions get it from the container.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();

    $services->set(InMemoryPublisher::class)->arg('$topics', service('orosync.declared_topics'))->public();
    $services->alias('orosync.publisher', InMemoryPublisher::class);
};
