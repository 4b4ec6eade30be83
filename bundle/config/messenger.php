<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Messenger\Publish;
use Orosync\Messenger\PublishHandler;
use Orosync\Publishing\PublisherInterface;

// Loaded if Messenger is installed. If it is not enabled, the container removes the unused services.
return static function (ContainerConfigurator $container): void {
    $container->services()->set('orosync.publish_handler', PublishHandler::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$topics', service('orosync.declared_topics'))
        ->tag('messenger.message_handler', ['handles' => Publish::class]);
};
