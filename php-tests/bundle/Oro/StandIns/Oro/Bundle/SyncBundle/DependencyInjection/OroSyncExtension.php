<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\DependencyInjection;

use Gos\Bundle\PubSubRouterBundle\Router\Router;
use Oro\Bundle\ImapBundle\Topic\SyncFailTopic;
use Oro\Bundle\SyncBundle\Authentication\Origin\ApplicationOriginProvider;
use Oro\Bundle\SyncBundle\Authentication\Origin\ChainOriginProvider;
use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Oro\Bundle\SyncBundle\Client\LoggerAwareWebsocketClientDecorator;
use Oro\Bundle\SyncBundle\Client\WebsocketClient;
use Oro\Bundle\SyncBundle\Command\WebsocketServerCommand;
use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;
use Oro\Bundle\SyncBundle\Content\DoctrineTagGenerator;
use Oro\Bundle\SyncBundle\Content\TagGeneratorInterface;
use Oro\Bundle\SyncBundle\Controller\TicketController;
use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;
use Oro\Bundle\SyncBundle\EventListener\MaintenanceListener;
use Oro\Bundle\SyncBundle\Test\Client\ConnectionChecker as TestConnectionChecker;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Oro\Bundle\SyncBundle\Topic\SecuredTopic;
use Oro\Bundle\SyncBundle\Topic\WebsocketPingTopic;
use Oro\Bundle\SyncBundle\Twig\SyncExtension;
use Psr\Container\ContainerInterface;
use Symfony\Component\DependencyInjection\Argument\TaggedIteratorArgument;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\ServiceLocatorTagPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Reference;

/** The services of OroSyncBundle that the bundle uses, with their ids, decorators and tags. */
final class OroSyncExtension extends Extension
{
    private const HANDLERS = [
        'oro_sync.ping' => WebsocketPingTopic::class,
        'oro_sync.data_update' => BroadcastTopic::class,
        'oro_sync.maintenance' => BroadcastTopic::class,
        'oro_email.event' => SecuredTopic::class,
        'oro_entity_config.attribute_import' => SecuredTopic::class,
        'oro_imap.sync_fail' => SyncFailTopic::class,
        'oro_reminder.remind' => SecuredTopic::class,
        'oro_message_queue.message_queue_heartbeat' => BroadcastTopic::class,
        'oro_user.outdated_user_page' => BroadcastTopic::class,
    ];

    /** Topics of 3.1 to 7.0, with `wildcard` as a part of the pattern. */
    public const ROUTES = [
        'oro_sync.ping' => ['channel' => 'oro/ping', 'callback' => 'oro_sync.ping'],
        'oro_sync.data_update' => ['channel' => 'oro/data/update', 'callback' => 'oro_sync.data_update'],
        'oro_sync.maintenance' => ['channel' => 'oro/maintenance', 'callback' => 'oro_sync.maintenance'],
        'oro_email.event' => [
            'channel' => 'oro/email_event/{user_id}/{organization_id}',
            'callback' => 'oro_email.event',
            'requirements' => ['user_id' => '\d+', 'organization_id' => '\d+|\*'],
        ],
        'oro_entity_config.attribute_import' => [
            'channel' => 'oro/attribute_import/{user_id}/{config_model_id}',
            'callback' => 'oro_entity_config.attribute_import',
            'requirements' => ['user_id' => '\d+', 'config_model_id' => '\d+'],
        ],
        'oro_imap.sync_fail' => [
            'channel' => 'oro/imap_sync_fail/{user_id}',
            'callback' => 'oro_imap.sync_fail',
            'requirements' => ['user_id' => '\d+|\*'],
        ],
        'oro_reminder.remind' => [
            'channel' => 'oro/reminder_remind/{user_id}',
            'callback' => 'oro_reminder.remind',
            'requirements' => ['user_id' => '\d+'],
        ],
        'oro_message_queue.message_queue_heartbeat' => [
            'channel' => 'oro/message_queue_heartbeat',
            'callback' => 'oro_message_queue.message_queue_heartbeat',
        ],
        'oro_user.outdated_user_page' => ['channel' => 'oro/outdated_user_page', 'callback' => 'oro_user.outdated_user_page'],
    ];

    public function load(array $configs, ContainerBuilder $container): void
    {
        $set = static fn (string $id, string $class, array $arguments = []): Definition => $container->setDefinition($id, new Definition($class, $arguments));
        $service = static fn (string $id): Reference => new Reference($id);

        // Client
        $set('oro_sync.websocket_client.basic', WebsocketClient::class, [$service('oro_sync.authentication.ticket_provider')]);
        $container->setAlias('oro_sync.websocket_client', 'oro_sync.websocket_client.basic')->setPublic(true);
        $set('oro_sync.client.logger_aware_decorator', LoggerAwareWebsocketClientDecorator::class, [$service('.inner')])
            ->setDecoratedService('oro_sync.websocket_client')
            ->addMethodCall('setLogger', [$service('logger')]);
        $set('oro_sync.client.connection_checker', ConnectionChecker::class, [$service('oro_sync.websocket_client.basic')])
            ->setPublic(true)
            ->addMethodCall('setLogger', [$service('logger')]);
        if ('test' === $container->getParameter('kernel.environment')) {
            $container->setDefinition('oro_sync.test.client.connection_checker', (new ChildDefinition('oro_sync.client.connection_checker'))
                ->setClass(TestConnectionChecker::class)
                ->setDecoratedService('oro_sync.client.connection_checker', null, -255));
        }

        // Tickets and origins
        $set('oro_sync.authentication.ticket_provider', TicketProvider::class, ['%kernel.secret%']);
        $container->setAlias(TicketProvider::class, 'oro_sync.authentication.ticket_provider');
        $set(TicketController::class, TicketController::class)
            ->setPublic(true)
            ->addMethodCall('setContainer', [$service(ContainerInterface::class)])
            ->addTag('container.service_subscriber');
        $set('oro_sync.authentication.application_origin_provider', ApplicationOriginProvider::class, ['https://crm.example.com/admin'])
            ->addTag('oro_sync.origin_provider');
        $set('oro_sync.authentication.origin_provider', ChainOriginProvider::class, [new TaggedIteratorArgument('oro_sync.origin_provider')]);

        // Content tags
        $set('oro_sync.content.tag_generator', DoctrineTagGenerator::class)->setPublic(true);
        $container->setAlias(TagGeneratorInterface::class, 'oro_sync.content.tag_generator');
        $set('oro_sync.content.data_update_topic_sender', DataUpdateTopicSender::class, [
            $service('oro_sync.websocket_client'),
            $service('oro_sync.client.connection_checker'),
            $service('security.token_storage'),
        ])->setPublic(true);
        $container->setAlias(DataUpdateTopicSender::class, 'oro_sync.content.data_update_topic_sender');
        $set('oro_sync.event_listener.doctrine_tag', DoctrineTagEventListener::class, [
            ServiceLocatorTagPass::register($container, [
                TagGeneratorInterface::class => $service('oro_sync.content.tag_generator'),
                DataUpdateTopicSender::class => $service('oro_sync.content.data_update_topic_sender'),
            ]),
        ])->addTag('doctrine.event_listener', ['event' => 'onFlush'])->addTag('doctrine.event_listener', ['event' => 'postFlush']);

        // Maintenance, Twig, command
        $set('oro_sync.event_listener.maintenance', MaintenanceListener::class, [
            $service('oro_sync.websocket_client'),
            $service('oro_sync.client.connection_checker'),
            $service('security.token_storage'),
        ])
            ->addTag('kernel.event_listener', ['event' => 'maintenance.on', 'method' => 'onModeOn'])
            ->addTag('kernel.event_listener', ['event' => 'maintenance.off', 'method' => 'onModeOff']);
        $set('oro_sync.twig.sync_extension', SyncExtension::class, [$service('oro_sync.client.connection_checker')])
            ->addTag('twig.extension');
        $set('oro_sync.gos_web_socket.command.websocket_server.decorator', WebsocketServerCommand::class)
            ->addTag('console.command', ['command' => 'gos:websocket:server']);

        // Topics: handlers are services, routes are in the websocket_routing.yml of each bundle.
        foreach (self::HANDLERS as $name => $class) {
            $set('oro.topic.' . $name, $class, [$name])->addTag('gos_web_socket.topic');
        }
        $set('gos_pubsub_router.router.websocket', Router::class, [self::ROUTES]);
    }
}
