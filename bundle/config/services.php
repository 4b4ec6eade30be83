<?php

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Orosync\Check\Inspection;
use Orosync\Command\CheckCommand;
use Orosync\Command\DisconnectCommand;
use Orosync\Command\MaintenanceCommand;
use Orosync\Command\PublishCommand;
use Orosync\Command\ServerBinary;
use Orosync\Command\ServerCommand;
use Orosync\Command\ServerProcess;
use Orosync\Command\ServerTool;
use Orosync\Command\TicketCommand;
use Orosync\Command\WatchCommand;
use Orosync\ContentTag\ContentTagListener;
use Orosync\ContentTag\DoctrineTagGenerator;
use Orosync\ContentTag\SimpleTagGenerator;
use Orosync\ContentTag\TagAnnouncer;
use Orosync\ContentTag\TagGeneratorChain;
use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\ContentTag\Transaction\UncommittedTags;
use Orosync\Controller\TicketController;
use Orosync\Endpoint\BackendEndpoint;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\ServerProbe;
use Orosync\Entry\Guard;
use Orosync\Entry\RequestStart;
use Orosync\Maintenance\MaintenanceAnnouncer;
use Orosync\Maintenance\MaintenanceListener;
use Orosync\Maintenance\MaintenanceMode;
use Orosync\Publishing\PublisherFactory;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\SharedSecret;
use Orosync\Session\SecurityListener;
use Orosync\Session\SessionTerminator;
use Orosync\Ticket\Authorization;
use Orosync\Ticket\BrowserTickets;
use Orosync\Ticket\ConfiguredOrigins;
use Orosync\Ticket\RequestedTopics;
use Orosync\Ticket\RolesClaim;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TopicGrants;
use Orosync\Ticket\UserClaims;
use Orosync\Ticket\UserClaimsInterface;
use Orosync\Ticket\VotedTopics;
use Orosync\Topic\DeclaredTopics;
use Orosync\Topic\RunningServer;
use Orosync\Topic\TopicsExportCommand;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;

// Services for applications to type-hint, replace or decorate are named after their interface; all others are internal.
// Arguments from the configuration ($settings, $secret, ...) are set in DependencyInjection/OrosyncExtension.php.
return static function (ContainerConfigurator $container): void {
    $services = $container->services();

    // Code that runs within actions of the application
    $services->set('orosync.guard', Guard::class)
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync'])
        ->tag('kernel.reset', ['method' => 'reset']);
    $services->set('orosync.request_start', RequestStart::class)
        ->arg('$requests', service('request_stack'))
        // Before anything that takes time.
        ->tag('kernel.event_listener', ['event' => 'kernel.request', 'method' => 'onRequest', 'priority' => 4096]);

    // Endpoints and secret
    $services->set('orosync.bind_address', BindAddress::class);
    $services->set('orosync.backend_endpoint', BackendEndpoint::class);
    $services->set('orosync.frontend_endpoint', FrontendEndpoint::class)
        ->arg('$requests', service('request_stack'));
    $services->set('orosync.shared_secret', SharedSecret::class);
    $services->set('orosync.server_probe', ServerProbe::class);

    // Publishing
    $services->set('orosync.publisher_factory', PublisherFactory::class)
        ->arg('$backend', service_closure('orosync.backend_endpoint'))
        ->arg('$secret', service_closure('orosync.shared_secret'))
        ->arg('$guard', service('orosync.guard'))
        ->arg('$logger', service('logger'))
        ->arg('$directory', '%kernel.cache_dir%/orosync')
        ->tag('monolog.logger', ['channel' => 'orosync'])
        ->tag('kernel.event_listener', ['event' => 'kernel.terminate', 'method' => 'reportOutage'])
        ->tag('kernel.event_listener', ['event' => 'console.terminate', 'method' => 'onConsoleTerminate'])
        ->tag('kernel.reset', ['method' => 'reportOutage']);
    $services->set('orosync.publisher', PublisherInterface::class)
        ->factory([service('orosync.publisher_factory'), 'publisher']);
    $services->alias(PublisherInterface::class, 'orosync.publisher')->public();

    // Topics. In an Oro application its routes are read as well.
    $services->set('orosync.declared_topics', DeclaredTopics::class);
    $services->alias('orosync.topics', 'orosync.declared_topics');

    // Tickets
    $services->set('orosync.ticket_issuer', TicketIssuerInterface::class)
        ->factory([service('orosync.publisher_factory'), 'ticketIssuer']);
    $services->alias(TicketIssuerInterface::class, 'orosync.ticket_issuer');
    $services->set('orosync.user_claims', UserClaims::class)
        ->arg('$tokens', service('security.token_storage')->nullOnInvalid())
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync']);
    $services->alias(UserClaimsInterface::class, 'orosync.user_claims');
    $services->set('orosync.topic_grants', TopicGrants::class)
        ->arg('$grants', tagged_iterator('orosync.topic_grant'))
        ->arg('$tokens', service('security.token_storage')->nullOnInvalid())
        ->arg('$guard', service('orosync.guard'));
    $services->set('orosync.authorization', Authorization::class)
        ->arg('$tokens', service('security.token_storage')->nullOnInvalid())
        ->arg('$manager', service('security.access.decision_manager')->nullOnInvalid());
    $services->set('orosync.roles_claim', RolesClaim::class)
        ->arg('$authorization', service('orosync.authorization'))
        ->arg('$guard', service('orosync.guard'));
    $services->set('orosync.requested_topics', RequestedTopics::class)
        ->tag('kernel.reset', ['method' => 'reset']);
    $services->set('orosync.voted_topics', VotedTopics::class)
        ->arg('$authorization', service('orosync.authorization'))
        ->arg('$doctrine', service('doctrine')->nullOnInvalid())
        ->arg('$outcomes', service('orosync.requested_topics'))
        ->arg('$guard', service('orosync.guard'));
    $services->set('orosync.ticket_origins', ConfiguredOrigins::class);
    $services->set('orosync.browser_tickets', BrowserTickets::class)
        ->arg('$tickets', service(TicketIssuerInterface::class))
        ->arg('$users', service(UserClaimsInterface::class))
        ->arg('$grants', service('orosync.topic_grants'))
        ->arg('$voted', service('orosync.voted_topics'))
        ->arg('$roles', service('orosync.roles_claim'))
        ->arg('$origins', service('orosync.ticket_origins'))
        ->arg('$guard', service('orosync.guard'));
    $services->set(TicketController::class)
        ->arg('$tickets', service_closure('orosync.browser_tickets'))
        ->arg('$start', service('orosync.request_start'))
        ->arg('$guard', service('orosync.guard'))
        ->tag('controller.service_arguments');

    // Sessions
    $services->set('orosync.session_terminator', SessionTerminator::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$users', service(UserClaimsInterface::class))
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync']);
    $services->alias(SessionTerminator::class, 'orosync.session_terminator')->public();
    $services->set('orosync.security_listener', SecurityListener::class)
        ->arg('$sessions', service_closure('orosync.session_terminator'))
        ->arg('$guard', service('orosync.guard'))
        ->tag('kernel.event_listener', ['event' => LogoutEvent::class, 'method' => 'onLogout'])
        ->tag('kernel.event_listener', ['event' => TokenDeauthenticatedEvent::class, 'method' => 'onDeauthenticated']);

    // Content tags
    $services->set('orosync.simple_tag_generator', SimpleTagGenerator::class)
        ->tag('orosync.tag_generator');
    $services->set('orosync.doctrine_tag_generator', DoctrineTagGenerator::class)
        ->arg('$doctrine', service('doctrine'))
        ->tag('orosync.tag_generator');
    $services->set('orosync.tag_generator', TagGeneratorChain::class)
        ->arg('$generators', tagged_iterator('orosync.tag_generator'));
    $services->alias(TagGeneratorInterface::class, 'orosync.tag_generator');
    $services->set('orosync.tag_announcer', TagAnnouncer::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$user', service(UserClaimsInterface::class))
        ->arg('$logger', service('logger'))
        ->tag('monolog.logger', ['channel' => 'orosync']);
    $services->set('orosync.uncommitted_tags', UncommittedTags::class)
        // Lazy: every connection depends on this service, and the claims service may depend on a connection.
        ->arg('$announcer', service_closure('orosync.tag_announcer'))
        ->arg('$guard', service('orosync.guard'));
    $services->set('orosync.content_tag_listener', ContentTagListener::class)
        ->arg('$tags', service_closure(TagGeneratorInterface::class))
        ->arg('$announcer', service_closure('orosync.tag_announcer'))
        ->arg('$uncommitted', service('orosync.uncommitted_tags'))
        ->arg('$guard', service('orosync.guard'))
        ->tag('doctrine.event_listener', ['event' => 'onFlush'])
        ->tag('doctrine.event_listener', ['event' => 'postFlush'])
        ->tag('kernel.reset', ['method' => 'reset']);

    // Maintenance
    $services->set('orosync.maintenance_announcer', MaintenanceAnnouncer::class)
        ->arg('$publisher', service(PublisherInterface::class))
        ->arg('$user', service(UserClaimsInterface::class))
        ->arg('$guard', service('orosync.guard'));
    $services->set('orosync.maintenance_mode', MaintenanceMode::class)
        ->arg('$announcer', service('orosync.maintenance_announcer'));
    $services->alias(MaintenanceMode::class, 'orosync.maintenance_mode');
    $services->set('orosync.maintenance_listener', MaintenanceListener::class)
        ->arg('$announcer', service_closure('orosync.maintenance_announcer'))
        ->arg('$guard', service('orosync.guard'))
        ->tag('kernel.event_listener', ['event' => 'maintenance.on', 'method' => 'onMaintenanceOn'])
        ->tag('kernel.event_listener', ['event' => 'maintenance.off', 'method' => 'onMaintenanceOff']);

    // Commands
    $services->set('orosync.server_binary', ServerBinary::class)
        ->arg('$directories', ['%kernel.project_dir%/vendor/bin', \dirname(__DIR__, 2) . '/target/release']);
    $services->set('orosync.server_process', ServerProcess::class);
    $services->set('orosync.server_command', ServerCommand::class)
        ->arg('$bind', service('orosync.bind_address'))
        ->arg('$secret', service('orosync.shared_secret'))
        ->arg('$binary', service('orosync.server_binary'))
        ->arg('$process', service('orosync.server_process'))
        ->arg('$topics', service('orosync.declared_topics'))
        ->arg('$topicsFile', '%kernel.cache_dir%/orosync/topics.toml')
        ->tag('console.command');
    $services->set('orosync.server_tool', ServerTool::class)
        ->arg('$binary', service('orosync.server_binary'))
        ->arg('$process', service('orosync.server_process'))
        ->arg('$backend', service('orosync.backend_endpoint'))
        ->arg('$secret', service('orosync.shared_secret'));
    $services->set('orosync.watch_command', WatchCommand::class)
        ->arg('$server', service('orosync.server_tool'))
        ->tag('console.command');
    $services->set('orosync.publish_command', PublishCommand::class)
        ->arg('$server', service('orosync.server_tool'))
        ->tag('console.command');
    $services->set('orosync.disconnect_command', DisconnectCommand::class)
        ->arg('$server', service('orosync.server_tool'))
        ->tag('console.command');
    $services->set('orosync.ticket_command', TicketCommand::class)
        ->arg('$tickets', service_closure('orosync.browser_tickets'))
        ->arg('$tokens', service('security.token_storage')->nullOnInvalid())
        ->tag('console.command');
    $services->set('orosync.running_server', RunningServer::class);
    $services->set('orosync.inspection', Inspection::class)
        ->arg('$publishers', service_closure('orosync.publisher_factory'))
        ->arg('$tickets', service_closure(TicketIssuerInterface::class))
        ->arg('$backend', service_closure('orosync.backend_endpoint'))
        ->arg('$secret', service_closure('orosync.shared_secret'))
        ->arg('$frontend', service_closure('orosync.frontend_endpoint'))
        ->arg('$topics', service_closure('orosync.topics'))
        ->arg('$binary', service('orosync.server_binary'))
        ->arg('$probe', service('orosync.server_probe'))
        ->arg('$server', service('orosync.running_server'))
        ->arg('$requests', service('request_stack'));
    $services->set('orosync.check_command', CheckCommand::class)
        ->arg('$inspection', service_closure('orosync.inspection'))
        ->arg('$bind', service('orosync.bind_address'))
        ->arg('$context', service('router.request_context')->nullOnInvalid())
        ->tag('console.command');
    $services->set('orosync.topics_export_command', TopicsExportCommand::class)
        ->arg('$topics', service('orosync.topics'))
        ->arg('$server', service('orosync.running_server'))
        ->arg('$bind', service('orosync.bind_address'))
        ->tag('console.command');
    $services->set('orosync.maintenance_command', MaintenanceCommand::class)
        ->arg('$mode', service('orosync.maintenance_mode'))
        ->arg('$publisher', service(PublisherInterface::class))
        ->tag('console.command');
};
