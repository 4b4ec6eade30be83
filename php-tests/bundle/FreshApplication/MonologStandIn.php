<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/** Replaces MonologBundle, which Debian does not package: keeps its configuration. */
final class MonologStandIn extends Bundle
{
    public function getContainerExtension(): ?ExtensionInterface
    {
        return $this->extension ??= new class () extends Extension {
            public function getAlias(): string
            {
                return 'monolog';
            }

            public function load(array $configs, ContainerBuilder $container): void
            {
                $container->setParameter('monolog.handlers', array_merge(...array_column($configs, 'handlers')));
            }
        };
    }
}
