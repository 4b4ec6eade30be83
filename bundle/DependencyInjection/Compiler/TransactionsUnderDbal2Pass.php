<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Doctrine\DBAL\Driver\Middleware;
use Orosync\ContentTag\Transaction\Dbal2Connection;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Makes connections report their transactions under DBAL 2, which has no middlewares.
 *
 * A connection with a wrapper class of the application stays unchanged: its tags are sent with the flush. So do all connections
 * of an Oro application, which uses its own listener and {@see \Orosync\Oro\RootTransaction}.
 */
final class TransactionsUnderDbal2Pass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if (
            interface_exists(Middleware::class)
            || !$container->hasDefinition('orosync.content_tag_listener')
            || !$container->hasParameter('doctrine.connections')
        ) {
            return;
        }
        foreach ($container->getParameter('doctrine.connections') as $id) {
            $connection = $container->getDefinition($id);
            $options = $connection->getArgument(0);
            if (!isset($options['wrapperClass'])) {
                $connection->replaceArgument(0, ['wrapperClass' => Dbal2Connection::class] + $options)
                    ->addMethodCall('reportTransactionsTo', [new Reference('orosync.uncommitted_tags')]);
            }
        }
    }
}
