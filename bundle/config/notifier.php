<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Notifier\LiveChannel;
use Orosync\Publishing\PublisherInterface;

// Loaded if Notifier is installed.
return static function (ContainerConfigurator $container): void {
    $container->services()->set('orosync.notifier_channel', LiveChannel::class)
        ->arg('$publisher', service_closure(PublisherInterface::class))
        ->arg('$guard', service('orosync.guard'))
        ->tag('notifier.channel', ['channel' => 'orosync']);
};
