<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Replaces Oro's classes by subclasses of the application. */
final class OwnClassesPass implements CompilerPassInterface
{
    public const DECORATORS = [
        'oro_sync.client.connection_checker' => Decorator\OwnConnectionChecker::class,
        'oro_sync.authentication.ticket_provider' => Decorator\OwnTicketProvider::class,
        'oro_sync.content.data_update_topic_sender' => Decorator\OwnTagSender::class,
        'oro_sync.event_listener.doctrine_tag' => Decorator\OwnTagListener::class,
    ];

    public function process(ContainerBuilder $container): void
    {
        $container->getDefinition('oro_sync.content.data_update_topic_sender')->setClass(Subclass\OwnTagSender::class);
        $container->getDefinition('oro_sync.event_listener.doctrine_tag')->setClass(Subclass\OwnTagListener::class);
    }
}
