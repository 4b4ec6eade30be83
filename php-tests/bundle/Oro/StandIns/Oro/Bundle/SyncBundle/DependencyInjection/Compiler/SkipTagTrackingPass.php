<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\DependencyInjection\Compiler;

use Orosync\Tests\Application\Entity\Contact;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Oro's own skip list, here with contacts instead of search index entities. */
final class SkipTagTrackingPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if ($container->hasDefinition('oro_sync.event_listener.doctrine_tag')) {
            $container->getDefinition('oro_sync.event_listener.doctrine_tag')->addMethodCall('markSkipped', [Contact::class]);
        }
    }
}
