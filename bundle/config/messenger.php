<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Messenger\Publish;
use Orosync\Messenger\PublishHandler;
use Orosync\Publishing\PublisherInterface;

// Loaded where Messenger is installed; removed with all that nobody uses where it is not switched on.
return static function (ContainerConfigurator $container): void {
    $container->services()->set('orosync.publish_handler', PublishHandler::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$topics', service('orosync.declared_topics'))
        ->tag('messenger.message_handler', ['handles' => Publish::class]);
};
