<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Controller\TicketController;
use Orosync\Maintenance\MaintenanceMode;
use Orosync\Oro\CurrentFlush;
use Orosync\Oro\OrosyncConnectionChecker;
use Orosync\Oro\OrosyncTagSender;
use Orosync\Oro\OrosyncTicketProvider;
use Orosync\Oro\OrosyncWebsocketClient;
use Orosync\Oro\OroTagAnnouncer;
use Orosync\Oro\OroTicketOrigins;
use Orosync\Oro\OroUserClaims;
use Orosync\Oro\RootTransaction;
use Orosync\Oro\Topics\ApplicationTopics;
use Orosync\Oro\Topics\MigrateCommand;
use Orosync\Oro\Topics\Obstacles;
use Orosync\Oro\Topics\RouteTranslator;
use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\TicketIssuerInterface;

// Loaded after services.php if OroSyncBundle is in the kernel. DependencyInjection/Compiler/OroPass.php wires what needs the
// complete container.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();
    // These replace Oro's own services; decorators of other bundles still apply.
    $innermost = 1024;

    // Oro has its own listeners, ticket route, maintenance mode and Twig functions; with these too, everything would happen
    // twice.
    $services->remove('orosync.content_tag_listener');
    $services->remove('orosync.commit_middleware');
    $services->remove('orosync.maintenance_listener');
    $services->remove('orosync.maintenance_command');
    $services->remove('orosync.maintenance_mode');
    $services->remove(MaintenanceMode::class);
    $services->remove('orosync.maintenance_announcer');
    $services->remove(TicketController::class);
    $services->remove('orosync.twig_extension');
    $services->remove('orosync.twig_runtime');
    $services->remove('orosync.shown_content');
    $services->remove('orosync.page_facts');
    $services->remove('orosync.live_page_listener');
    $services->remove('orosync.live_page');

    // Publishing
    $services->set('orosync.oro.websocket_client', OrosyncWebsocketClient::class)
        ->decorate('oro_sync.websocket_client.basic', null, $innermost)
        ->arg('$publisher', service_closure(PublisherInterface::class))
        ->arg('$guard', service('orosync.guard'))
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync']);
    $services->set('orosync.oro.connection_checker', OrosyncConnectionChecker::class)
        ->decorate('oro_sync.client.connection_checker', null, $innermost)
        ->arg('$publisher', service_closure(PublisherInterface::class))
        ->arg('$guard', service('orosync.guard'));

    // Tickets
    $services->set('orosync.user_claims', OroUserClaims::class)
        ->arg('$tokens', service('security.token_storage'));
    $services->set('orosync.oro.ticket_origins', OroTicketOrigins::class)
        ->arg('$origins', service('oro_sync.authentication.origin_provider'))
        ->arg('$requests', service('request_stack'))
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync']);
    $services->set('orosync.oro.ticket_provider', OrosyncTicketProvider::class)
        ->decorate('oro_sync.authentication.ticket_provider', null, $innermost)
        ->arg('$tickets', service_closure('orosync.browser_tickets'));

    // Content tags
    $services->set('orosync.oro.current_flush', CurrentFlush::class);
    $services->set('orosync.oro.root_transaction', RootTransaction::class)
        ->arg('$uncommitted', service('orosync.uncommitted_tags'))
        ->arg('$doctrine', service_closure('doctrine'))
        // Before listeners that may fail: Oro's own sends the messages that its queue has held back.
        ->tag('oro.doctrine.connection.transaction_watcher', ['priority' => $innermost]);
    $services->set('orosync.oro.tag_sender', OrosyncTagSender::class)
        ->decorate('oro_sync.content.data_update_topic_sender', 'orosync.oro.own_tag_sender', $innermost)
        ->arg('$announcer', service('orosync.tag_announcer'))
        ->arg('$transaction', service('orosync.oro.root_transaction'))
        ->arg('$flush', service('orosync.oro.current_flush'));
    $services->set('orosync.tag_announcer', OroTagAnnouncer::class)
        ->arg('$sender', service('orosync.oro.own_tag_sender'))
        ->arg('$guard', service('orosync.guard'));

    // Commands
    $services->set('orosync.oro.route_translator', RouteTranslator::class);
    $services->set('orosync.oro.topics', ApplicationTopics::class)
        ->arg('$router', service('gos_pubsub_router.router.websocket'))
        ->arg('$origins', service('oro_sync.authentication.origin_provider'))
        ->arg('$translator', service('orosync.oro.route_translator'))
        ->arg('$declared', service('orosync.declared_topics'));
    $services->alias('orosync.topics', 'orosync.oro.topics');
    $services->set('orosync.oro.obstacles', Obstacles::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$tickets', service(TicketIssuerInterface::class))
        ->arg('$binary', service('orosync.server_binary'))
        ->arg('$bind', service('orosync.bind_address'))
        ->arg('$probe', service('orosync.server_probe'))
        ->arg('$publicDirectory', '%kernel.project_dir%/public')
        ->arg('$doctrine', service('doctrine'))
        ->arg('$environment', '%kernel.environment%');
    $services->set('orosync.oro.migrate_command', MigrateCommand::class)
        ->arg('$obstacles', service('orosync.oro.obstacles'))
        ->arg('$topics', service('orosync.oro.topics'))
        ->arg('$parameters', service('parameter_bag'))
        ->arg('$frontend', service('orosync.frontend_endpoint'))
        ->arg('$bind', service('orosync.bind_address'))
        ->tag('console.command');
};
