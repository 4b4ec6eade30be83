<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\PlatformBundle\DependencyInjection\Compiler\TwigServiceLocatorPass;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/** Replaces OroPlatformBundle: loads each bundle's app.yml, and has Oro's own pass that loads the class of every service. */
final class PlatformBundle extends Bundle implements CompilerPassInterface
{
    public function build(ContainerBuilder $container): void
    {
        $container->addCompilerPass(new TwigServiceLocatorPass());
        $container->addCompilerPass($this);
    }

    /** Makes these services public for drive.php. */
    public function process(ContainerBuilder $container): void
    {
        foreach (['twig', 'security.token_storage', 'event_dispatcher'] as $id) {
            $container->findDefinition($id)->setPublic(true);
        }
    }

    public function getContainerExtension(): ?ExtensionInterface
    {
        return new PlatformExtension();
    }
}
