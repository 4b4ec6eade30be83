<?php

declare(strict_types=1);

namespace App;

use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherConfigurator;
use Oro\Component\DoctrineUtils\DependencyInjection\AddTransactionWatcherCompilerPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;
use Symfony\Component\HttpKernel\KernelInterface;

/** Replaces the part of OroEntityBundle that wraps the default connection; the compiler pass is Oro's own. */
final class EntityBundle extends Bundle
{
    public function __construct(KernelInterface $kernel)
    {
        TransactionWatcherConfigurator::registerConnectionProxies($kernel->getCacheDir());
    }

    public function build(ContainerBuilder $container): void
    {
        $container->addCompilerPass(new AddTransactionWatcherCompilerPass('oro.doctrine.connection.transaction_watcher'));
    }
}
