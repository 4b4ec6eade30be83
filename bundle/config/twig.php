<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Orosync\Twig\OrosyncExtension;
use Orosync\Twig\OrosyncRuntime;

// Loaded where Twig is installed.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();

    $services->set('orosync.twig_extension', OrosyncExtension::class)
        ->tag('twig.extension');
    $services->set('orosync.twig_runtime', OrosyncRuntime::class)
        ->arg('$frontend', service('orosync.frontend_endpoint'))
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$tags', service(TagGeneratorInterface::class))
        ->arg('$user', service(UserClaimsInterface::class))
        ->arg('$urls', service('router'))
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync'])
        ->tag('twig.runtime');
};
