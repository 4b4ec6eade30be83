<?php

declare(strict_types=1);

namespace Oro\Bundle\PlatformBundle\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Twig\Extension\ExtensionInterface;

/** 5.0 and 5.1: loads the class of every service to find Twig extensions. A class that cannot be loaded is an error. */
class TwigServiceLocatorPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        foreach ($container->getDefinitions() as $definition) {
            is_a((string) $definition->getClass(), ExtensionInterface::class, true);
        }
    }
}
