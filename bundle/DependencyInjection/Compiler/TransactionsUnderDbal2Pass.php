<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Doctrine\DBAL\Configuration;
use Orosync\ContentTag\Transaction\Dbal2Connection;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Has connections report their transactions themselves where DBAL takes no middlewares: OroPlatform 5.0 to 6.1.
 *
 * A connection with a wrapper class of the application's own stays as it is: its tags leave with the flush.
 */
final class TransactionsUnderDbal2Pass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if (
            !$container->hasDefinition('orosync.commit_middleware')
            || !class_exists(Configuration::class)
            || method_exists(Configuration::class, 'setMiddlewares')
        ) {
            return;
        }
        $container->removeDefinition('orosync.commit_middleware');
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
