<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\Compiler\ServiceLocatorTagPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Reference;

/** Passes the user providers of the security bundle to `orosync:ticket`, by their configured names. */
final class UserProvidersPass implements CompilerPassInterface
{
    /** Prefix of the service ids of the security bundle's user providers. */
    private const PREFIX = 'security.user.provider.concrete.';

    public function process(ContainerBuilder $container): void
    {
        $providers = [];
        foreach ([...array_keys($container->getDefinitions()), ...array_keys($container->getAliases())] as $id) {
            if (str_starts_with($id, self::PREFIX)) {
                $providers[substr($id, \strlen(self::PREFIX))] = new Reference($id);
            }
        }
        $container->getDefinition('orosync.ticket_command')
            ->setArgument('$providers', ServiceLocatorTagPass::register($container, $providers));
    }
}
