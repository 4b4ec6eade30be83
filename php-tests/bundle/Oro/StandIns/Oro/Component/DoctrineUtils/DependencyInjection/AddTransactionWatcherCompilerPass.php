<?php

declare(strict_types=1);

namespace Oro\Component\DoctrineUtils\DependencyInjection;

use Doctrine\DBAL\Connection;
use Oro\Component\DoctrineUtils\DBAL\ChainTransactionWatcher;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherAwareInterface;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherConfigurator;
use Oro\Component\Testing\Doctrine\PersistentConnection;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\Compiler\PriorityTaggedServiceTrait;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Reference;

/**
 * 5.0 to 7.0: if there is a watcher (Oro's message queue always is one), the default connection gets a `wrapperClass` that is
 * generated here and extends the configured one. The configured class must be a subtype of DBAL's connection, or in the
 * environment `test` of Oro's test connection, where the root is the transaction inside that of the test.
 */
class AddTransactionWatcherCompilerPass implements CompilerPassInterface
{
    use PriorityTaggedServiceTrait;

    public function __construct(private readonly string $tag)
    {
    }

    public function process(ContainerBuilder $container): void
    {
        $watchers = $this->findAndSortTaggedServices($this->tag, $container);
        if ([] === $watchers) {
            return;
        }
        $name = $container->getParameter('doctrine.default_connection');
        $connection = $container->findDefinition($container->getParameter('doctrine.connections')[$name]);
        $isTest = 'test' === $container->getParameter('kernel.environment');
        $parameters = $connection->getArgument(0);
        $expected = $isTest ? PersistentConnection::class : Connection::class;
        $parent = $parameters['wrapperClass'] ?? $expected;
        if (!is_a($parent, $expected, true)) {
            throw new \RuntimeException(sprintf('The wrapper class "%s" is no "%s".', $parent, $expected));
        }
        $directory = TransactionWatcherConfigurator::getConnectionProxyRootDir($container->getParameter('kernel.cache_dir'));
        $connection->replaceArgument(0, ['wrapperClass' => self::write($directory, $parent, $isTest ? 1 : 0)] + $parameters);
        $chain = 'oro.doctrine.connection.chain_transaction_watcher.' . $name;
        $container->setDefinition($chain, new Definition(ChainTransactionWatcher::class, [$watchers]));
        $connection->addMethodCall('setTransactionWatcher', [new Reference($chain)]);
    }

    /** @param int $around how many transactions are around the root */
    private static function write(string $directory, string $parent, int $around): string
    {
        $namespace = TransactionWatcherConfigurator::CONNECTION_PROXY_NAMESPACE;
        $name = 'ConnectionProxy_' . md5($parent);
        $aware = TransactionWatcherAwareInterface::class;
        $begun = $around + 1;
        $code = <<<PHP
            <?php
            namespace $namespace;

            class $name extends \\$parent implements \\$aware
            {
                private \$watcher;

                public function setTransactionWatcher(\$transactionWatcher = null)
                {
                    \$this->watcher = \$transactionWatcher;
                }

                public function beginTransaction(): void
                {
                    parent::beginTransaction();
                    if ($begun === \$this->getTransactionNestingLevel()) {
                        \$this->watcher->onTransactionStarted();
                    }
                }

                public function commit(): void
                {
                    parent::commit();
                    if ($around === \$this->getTransactionNestingLevel()) {
                        \$this->watcher->onTransactionCommitted();
                    }
                }

                public function rollBack(): void
                {
                    parent::rollBack();
                    if ($around === \$this->getTransactionNestingLevel()) {
                        \$this->watcher->onTransactionRolledback();
                    }
                }
            }
            PHP;
        @mkdir($directory . '/' . $namespace, 0777, true);
        file_put_contents($directory . '/' . $namespace . '/' . $name . '.php', $code);

        return $namespace . '\\' . $name;
    }
}
