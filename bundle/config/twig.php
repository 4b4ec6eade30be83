<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Profiler\PageFacts;
use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Orosync\Twig\LivePage;
use Orosync\Twig\LivePageListener;
use Orosync\Twig\OrosyncExtension;
use Orosync\Twig\OrosyncRuntime;
use Orosync\Twig\ShownContent;

// Loaded if Twig is installed.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();

    $services->set('orosync.twig_extension', OrosyncExtension::class)
        ->tag('twig.extension');
    $services->set('orosync.shown_content', ShownContent::class)
        ->arg('$tags', service_closure(TagGeneratorInterface::class));
    $services->set('orosync.live_page', LivePage::class)
        ->tag('kernel.reset', ['method' => 'reset']);
    $services->set('orosync.live_page_listener', LivePageListener::class)
        ->arg('$page', service('orosync.live_page'))
        ->arg('$guard', service('orosync.guard'))
        // Before listeners that rewrite the page, such as those that remove white space.
        ->tag('kernel.event_listener', ['event' => 'kernel.response', 'method' => 'onResponse', 'priority' => 512])
        // Before the error page is rendered.
        ->tag('kernel.event_listener', ['event' => 'kernel.exception', 'method' => 'onException', 'priority' => 512]);
    $services->set('orosync.page_facts', PageFacts::class)
        ->arg('$page', service('orosync.live_page'))
        ->arg('$topics', service('orosync.declared_topics'));
    $services->set('orosync.twig_runtime', OrosyncRuntime::class)
        ->arg('$frontend', service_closure('orosync.frontend_endpoint'))
        ->arg('$publisher', service_closure(PublisherInterface::class))
        ->arg('$content', service('orosync.shown_content'))
        ->arg('$page', service('orosync.live_page'))
        ->arg('$start', service('orosync.request_start'))
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
