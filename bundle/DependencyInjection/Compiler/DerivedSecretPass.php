<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Passes `kernel.secret` to the shared secret, if it exists: `framework.secret` is optional. */
final class DerivedSecretPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        $container->getDefinition('orosync.shared_secret')
            ->setArgument('$kernelSecret', $container->hasParameter('kernel.secret') ? '%kernel.secret%' : null);
    }
}
