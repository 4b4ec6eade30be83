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
        ->arg('$frontend', service_closure('orosync.frontend_endpoint'))
        ->arg('$publisher', service_closure(PublisherInterface::class))
        ->arg('$tags', service_closure(TagGeneratorInterface::class))
        ->arg('$user', service_closure(UserClaimsInterface::class))
        ->arg('$urls', service('router'))
        ->arg('$requests', service('request_stack'))
        ->arg('$translator', service('translator')->nullOnInvalid())
        ->arg('$logger', service('logger'))
        ->arg('$guard', service('orosync.guard'))
        ->arg('$debug', '%kernel.debug%')
        ->tag('monolog.logger', ['channel' => 'orosync'])
        ->tag('twig.runtime');
};
