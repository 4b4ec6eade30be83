<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\ContentTag\Transaction\CommitMiddleware;

// Loaded if DBAL has middlewares (3 and 4). DBAL 2: DependencyInjection/Compiler/TransactionsUnderDbal2Pass.php.
return static function (ContainerConfigurator $container): void {
    $container->services()->set('orosync.commit_middleware', CommitMiddleware::class)
        ->arg('$uncommitted', service('orosync.uncommitted_tags'))
        ->tag('doctrine.middleware');
};
