<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Orosync\Topic\Topic;
use Symfony\Component\Config\Definition\Builder\TreeBuilder;
use Symfony\Component\Config\Definition\ConfigurationInterface;

/** The tree `orosync:`. Every node has a sentence and an example (`config:dump-reference orosync`). */
final class Configuration implements ConfigurationInterface
{
    public function getConfigTreeBuilder(): TreeBuilder
    {
        $builder = new TreeBuilder('orosync');
        $root = $builder->getRootNode();
        $root
            ->info('Live notifications. Nothing has to be set for an application and a server on one machine.')
            ->validate()
                ->ifTrue(static fn (array $config): bool => null !== $config['secret'] && null !== $config['secret_file'])
                ->thenInvalid('orosync.secret and orosync.secret_file are both set. Remove one of them.')
            ->end()
            ->children()
                ->scalarNode('secret')
                    ->info(
                        'The secret shared with the server, at least 32 bytes. Default: derived from kernel.secret (SHA-256 '
                        . 'of "orosync:" and that secret), for pages and for the server command alike, so that '
                        . 'nothing needs configuring. A server that is started without the command needs the same '
                        . 'value.'
                    )
                    ->example('%env(OROSYNC_AUTH__SECRET)%')
                    ->defaultNull()
                ->end()
                ->scalarNode('secret_file')
                    ->info('A file that holds the secret; instead of "secret".')
                    ->example('/etc/orosync/secret')
                    ->defaultNull()
                ->end()
                ->scalarNode('backend')
                    ->info(
                        'Where PHP reaches the server, or several nodes of a cluster with spaces between; "*" is this machine, '
                        . 'empty switches notifications off. Default: the parameters websocket_backend_dsn or websocket_backend_*, else this machine\'s port 8080.'
                    )
                    ->example('unix:/run/orosync/orosync.sock')
                    ->defaultNull()
                ->end()
                ->scalarNode('backend_ca_file')
                    ->info(
                        'Certificate authorities in PEM that alone may vouch for a server that PHP reaches with wss:// or '
                        . 'ssl://. Default: orosync.ca_file in php.ini, else those of the system.'
                    )
                    ->example('/etc/orosync/ca.pem')
                    ->defaultNull()
                ->end()
                ->scalarNode('frontend')
                    ->info(
                        'Where browsers reach the server. A path alone, such as /ws, is at the page\'s own host, port and '
                        . 'scheme: for a reverse proxy that passes it on. Else "*" is the host of the page, and wss:// or '
                        . 'ws:// decide on encryption and the port, otherwise the page does. Default: the parameters '
                        . 'websocket_frontend_dsn or websocket_frontend_*, else //*:8080/ws.'
                    )
                    ->example('/ws')
                    ->defaultNull()
                ->end()
                ->arrayNode('server')
                    ->info('How "bin/console orosync:server" starts the server.')
                    ->example(['bind' => '//127.0.0.1:8080'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('bind')
                            ->info(
                                'Where the server listens; empty: the command does not start one. Default: the parameters '
                                . 'websocket_server_dsn or websocket_bind_*, else what the file in "config" says, '
                                . 'else //0.0.0.0:8080.'
                            )
                            ->example('//127.0.0.1:8080')
                            ->defaultNull()
                        ->end()
                        ->scalarNode('binary')
                            ->info(
                                'The native server: a path, or a name to look for in PATH. Default: orosync-server in PATH, '
                                . 'vendor/bin or Orosync\'s own target/release.'
                            )
                            ->example('/usr/local/bin/orosync-server')
                            ->defaultNull()
                        ->end()
                        ->scalarNode('config')
                            ->info('The server\'s own configuration file, for topics, limits and further addresses.')
                            ->example('%kernel.project_dir%/config/orosync.toml')
                            ->defaultNull()
                        ->end()
                    ->end()
                ->end()
                ->arrayNode('topics')
                    ->info(
                        'The application\'s own topics and who may listen to them: anyone, customer, user, owner (the user whose id '
                        . 'is {uid}), a role such as ROLE_SALES or several of which one is enough, granted (by a '
                        . 'TopicGrantInterface) or nobody; or a voter instead. The first pattern that matches decides. '
                        . '"bin/console orosync:server" passes them on, orosync:topics:export writes them for a server that '
                        . 'is started without it; in an Oro application the export alone does. A service may declare its own '
                        . 'with the attribute Orosync\Topic\Topic.'
                    )
                    ->example([
                        'acme/orders/{uid:int}' => 'owner',
                        'acme/sales' => 'ROLE_SALES',
                        'acme/order/{order}' => ['voter' => 'VIEW', 'class' => 'App\Entity\Order'],
                        'acme/chat/{room}' => ['subscribe' => 'user', 'publish' => 'user'],
                    ])
                    ->useAttributeAsKey('pattern')
                    ->normalizeKeys(false)
                    ->arrayPrototype()
                        ->beforeNormalization()
                            ->ifTrue(static fn (mixed $topic): bool => \is_string($topic) || (\is_array($topic) && array_is_list($topic)))
                            ->then(static fn (string|array $subscribe): array => ['subscribe' => $subscribe])
                        ->end()
                        ->children()
                            ->scalarNode('subscribe')
                                ->info('Who may listen; not with a voter.')
                                ->example('user')
                                ->beforeNormalization()->ifArray()->then(static fn (array $roles): string => implode(',', $roles))->end()
                                ->defaultNull()
                            ->end()
                            ->scalarNode('voter')
                                ->info(
                                    'What Symfony\'s voters are asked for, as with isGranted(), when a page wants the topic: about the '
                                    . 'object of "class" whose id is the pattern\'s one capture.'
                                )
                                ->example('VIEW')
                                ->defaultNull()
                            ->end()
                            ->scalarNode('class')
                                ->info('With a voter: the class of the object, an entity of Doctrine\'s.')
                                ->example('App\Entity\Order')
                                ->defaultNull()
                            ->end()
                            ->enumNode('publish')
                                ->info('Who may publish; publisher: PHP; user: pages of users, too.')
                                ->example('user')
                                ->values(Topic::PUBLISH)
                                ->defaultValue('publisher')
                            ->end()
                        ->end()
                    ->end()
                ->end()
                ->arrayNode('ticket')
                    ->info('The one-time credential with which a browser connects.')
                    ->example(['ttl' => 60])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->integerNode('ttl')
                            ->info('Seconds until an unused ticket expires.')
                            ->example('60')
                            ->min(1)
                            ->defaultValue(300)
                        ->end()
                        ->arrayNode('origins')
                            ->info(
                                'Hosts whose pages may use a ticket, at most 16: crm.example.com, *.example.com, "same host" '
                                . '(the one that is connected to) or *. Default: in an Oro application the host that is asked '
                                . 'for the ticket and Oro\'s own origins, else any.'
                            )
                            ->example(['crm.example.com', '*.shop.example.com'])
                            ->scalarPrototype()->end()
                        ->end()
                    ->end()
                ->end()
                ->arrayNode('users')
                    ->info(
                        'The role of each class of users: "user" (of the back office), "customer" (of the storefront), each for '
                        . 'one class, whose ids count with it, or "anonymous" (nobody in particular). A subclass has the '
                        . 'role of its nearest parent. Default: the one class that the user providers of the security '
                        . 'bundle give is "user". An Oro application has Oro\'s two classes instead.'
                    )
                    ->example(['App\Entity\User' => 'user', 'App\Entity\Customer' => 'customer'])
                    ->useAttributeAsKey('class')
                    ->enumPrototype()->values(['user', 'customer', 'anonymous'])->end()
                ->end()
                ->arrayNode('content_tags')
                    ->info('The announcement of what Doctrine has changed.')
                    ->example(['skip' => ['App\Entity\AuditEntry']])
                    ->canBeDisabled()
                    ->children()
                        ->arrayNode('skip')
                            ->info('Entity classes whose changes are not announced. Subclasses are named themselves.')
                            ->example(['App\Entity\AuditEntry'])
                            ->scalarPrototype()->end()
                        ->end()
                    ->end()
                ->end()
                ->booleanNode('test')
                    ->info(
                        'Keep what is published in memory, for Orosync\Test\PublishedAssertions, and connect to no server. '
                        . 'For "when@test". Default: no; in an Oro application\'s environment "test" yes.'
                    )
                    ->example('true')
                    ->defaultNull()
                ->end()
                ->arrayNode('notifier')
                    ->info('The channel "orosync" of Symfony\'s Notifier, where that is installed.')
                    ->example(['topic' => 'acme/notices/{uid}'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('topic')
                            ->info(
                                'The topic of a user\'s notifications; {uid} is the id of the user. The server\'s '
                                . 'configuration must let that user subscribe to it.'
                            )
                            ->example('acme/notices/{uid}')
                            ->defaultValue('orosync/notifications/{uid}')
                            ->validate()
                                ->ifTrue(static fn (mixed $topic): bool => !str_contains((string) $topic, '{uid}'))
                                ->then(static function (mixed $topic): never {
                                    throw new \InvalidArgumentException(sprintf(
                                        'orosync.notifier.topic: "%s" has no {uid}, so everybody would read it. '
                                        . 'Write for example "orosync/notifications/{uid}".',
                                        $topic,
                                    ));
                                })
                            ->end()
                        ->end()
                    ->end()
                ->end()
                ->arrayNode('maintenance')
                    ->info('The maintenance mode of an application that has none of its own.')
                    ->example(['flag_file' => '/srv/shared/maintenance'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('flag_file')
                            ->info('The file that is there while maintenance is on.')
                            ->example('/srv/shared/maintenance')
                            ->cannotBeEmpty()
                            ->defaultValue('%kernel.project_dir%/var/maintenance')
                        ->end()
                    ->end()
                ->end()
            ->end()
        ;
        $root->find('content_tags.enabled')
            ->info('Announce them at all.')
            ->example('false');

        return $builder;
    }
}
