<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Removes the services that need Doctrine from an application without a manager registry (service `doctrine`). */
final class ContentTagsNeedDoctrinePass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if ($container->has('doctrine')) {
            return;
        }
        $container->removeDefinition('orosync.doctrine_tag_generator');
        $container->removeDefinition('orosync.content_tag_listener');
        $container->removeDefinition('orosync.commit_middleware');
    }
}
