<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Profiler\PublishingCollector;
use Orosync\Profiler\RecordingPublisher;
use Orosync\Publishing\PublisherInterface;

// Removed without a profiler by DependencyInjection/Compiler/RecordingNeedsProfilerPass.php.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();

    $services->set('orosync.recording_publisher', RecordingPublisher::class)
        // Decorates the interface, so that an application's own publisher is recorded too.
        ->decorate(PublisherInterface::class)
        ->arg('$publisher', service_closure('.inner'))
        ->arg('$topics', service('orosync.declared_topics'))
        ->arg('$logger', service('logger'))
        ->arg('$guard', service('orosync.guard'))
        ->tag('monolog.logger', ['channel' => 'orosync'])
        ->tag('kernel.reset', ['method' => 'reset']);
    $services->set('orosync.publishing_collector', PublishingCollector::class)
        ->arg('$publisher', service('orosync.recording_publisher'))
        ->arg('$guard', service('orosync.guard'))
        ->arg('$requested', service('orosync.requested_topics'))
        ->arg('$page', service('orosync.page_facts')->nullOnInvalid())
        ->tag('data_collector', ['id' => 'orosync', 'template' => '@OrosyncLive/profiler.html.twig', 'priority' => 260]);
};
