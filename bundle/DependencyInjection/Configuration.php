<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Orosync\Topic\Topic;
use Symfony\Component\Config\Definition\Builder\TreeBuilder;
use Symfony\Component\Config\Definition\ConfigurationInterface;

/** The configuration tree `orosync:`. Every node has a description and an example (`config:dump-reference orosync`). */
final class Configuration implements ConfigurationInterface
{
    public function getConfigTreeBuilder(): TreeBuilder
    {
        $builder = new TreeBuilder('orosync');
        $root = $builder->getRootNode();
        $root
            ->info('Live notifications. An application and a server on one machine need no configuration.')
            ->validate()
                ->ifTrue(static fn (array $config): bool => null !== $config['secret'] && null !== $config['secret_file'])
                ->thenInvalid('orosync.secret and orosync.secret_file are both set. Remove one of them.')
            ->end()
            ->children()
                ->scalarNode('secret')
                    ->info(
                        'The secret shared with the server, at least 32 bytes. Default: derived from kernel.secret (SHA-256 '
                        . 'of "orosync:" and that secret), for pages and for the server command. A server that is started '
                        . 'without the command needs the same value.'
                    )
                    ->example('%env(OROSYNC_AUTH__SECRET)%')
                    ->defaultNull()
                ->end()
                ->scalarNode('secret_file')
                    ->info('A file that contains the secret; instead of "secret".')
                    ->example('/etc/orosync/secret')
                    ->defaultNull()
                ->end()
                ->scalarNode('backend')
                    ->info(
                        'Address at which PHP reaches the server, or a space-separated list of the nodes of a cluster. "*" '
                        . 'is this machine; an empty value switches notifications off. Default: the parameters '
                        . 'websocket_backend_dsn or websocket_backend_*, else port 8080 on this machine.'
                    )
                    ->example('unix:/run/orosync/orosync.sock')
                    ->defaultNull()
                ->end()
                ->scalarNode('backend_ca_file')
                    ->info(
                        'The only certificate authorities (PEM) to trust for a server that PHP reaches with wss:// or '
                        . 'ssl://. Default: orosync.ca_file in php.ini, else those of the system.'
                    )
                    ->example('/etc/orosync/ca.pem')
                    ->defaultNull()
                ->end()
                ->scalarNode('frontend')
                    ->info(
                        'Address at which browsers reach the server. A path such as /ws uses the page\'s own host, port and '
                        . 'scheme, for a reverse proxy that forwards it. Otherwise "*" is the host of the page, and wss:// or '
                        . 'ws:// set encryption and default port; without a scheme the page\'s scheme applies. Default: the '
                        . 'parameters websocket_frontend_dsn or websocket_frontend_*, else //*:8080/ws.'
                    )
                    ->example('/ws')
                    ->defaultNull()
                ->end()
                ->arrayNode('server')
                    ->info('Settings of the command "bin/console orosync:server".')
                    ->example(['bind' => '//127.0.0.1:8080'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('bind')
                            ->info(
                                'Listen address of the server; if empty, the command does not start one. Default: the '
                                . 'parameters websocket_server_dsn or websocket_bind_*, else the address in the file '
                                . '"config", else //0.0.0.0:8080.'
                            )
                            ->example('//127.0.0.1:8080')
                            ->defaultNull()
                        ->end()
                        ->scalarNode('binary')
                            ->info(
                                'The native server: a path, or a name to look up in PATH. Default: orosync-server in PATH, '
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
                        'The application\'s topics and who may subscribe to them: anyone, customer, user, owner (the user '
                        . 'whose id is {uid}), a role such as ROLE_SALES or several roles of which one is enough, granted (by '
                        . 'a TopicGrantInterface), nobody; or a voter. The first matching pattern decides. "bin/console '
                        . 'orosync:server" passes them to the server; orosync:topics:export writes them for a server that is '
                        . 'started without it, and is always needed in an Oro application. A service may declare its topics '
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
                                ->info('Who may subscribe; not together with a voter.')
                                ->example('user')
                                ->beforeNormalization()->ifArray()->then(static fn (array $roles): string => implode(',', $roles))->end()
                                ->defaultNull()
                            ->end()
                            ->scalarNode('voter')
                                ->info(
                                    'Attribute for Symfony\'s voters, as in isGranted(). The subject is the object of '
                                    . '"class" whose id is the pattern\'s only capture.'
                                )
                                ->example('VIEW')
                                ->defaultNull()
                            ->end()
                            ->scalarNode('class')
                                ->info('With a voter: the Doctrine entity class of the subject.')
                                ->example('App\Entity\Order')
                                ->defaultNull()
                            ->end()
                            ->enumNode('publish')
                                ->info('Who may publish. publisher: PHP only; user: also pages of users.')
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
                                'Hosts whose pages may use a ticket, at most 16: crm.example.com, *.example.com, "same '
                                . 'host" (the host of the connection) or *. Default: in an Oro application the host of the '
                                . 'ticket request and Oro\'s own origins, else any host.'
                            )
                            ->example(['crm.example.com', '*.shop.example.com'])
                            ->scalarPrototype()->end()
                        ->end()
                    ->end()
                ->end()
                ->arrayNode('users')
                    ->info(
                        'The role of each user class: "user" (back office) and "customer" (storefront) for one class each, '
                        . 'whose ids are part of the identity, or "anonymous" (no identity). A subclass has the role of its '
                        . 'nearest parent. Default: "user" for the only class that the security bundle\'s user providers '
                        . 'return. An Oro application uses Oro\'s two classes instead.'
                    )
                    ->example(['App\Entity\User' => 'user', 'App\Entity\Customer' => 'customer'])
                    ->useAttributeAsKey('class')
                    ->enumPrototype()->values(['user', 'customer', 'anonymous'])->end()
                ->end()
                ->arrayNode('content_tags')
                    ->info('Announcement of changed Doctrine entities.')
                    ->example(['skip' => ['App\Entity\AuditEntry']])
                    ->canBeDisabled()
                    ->children()
                        ->arrayNode('skip')
                            ->info('Entity classes whose changes are not announced. Subclasses need their own entry.')
                            ->example(['App\Entity\AuditEntry'])
                            ->scalarPrototype()->end()
                        ->end()
                    ->end()
                ->end()
                ->booleanNode('test')
                    ->info(
                        'Keep messages in memory for Orosync\Test\PublishedAssertions, without a server. For "when@test". '
                        . 'Default: false; true in the environment "test" of an Oro application.'
                    )
                    ->example('true')
                    ->defaultNull()
                ->end()
                ->arrayNode('notifier')
                    ->info('The channel "orosync" of Symfony\'s Notifier, if that is installed.')
                    ->example(['topic' => 'acme/notices/{uid}'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('topic')
                            ->info(
                                'The topic of a user\'s notifications; {uid} is the id of the user. The server\'s '
                                . 'configuration must allow that user to subscribe to it.'
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
                    ->info('Maintenance mode for applications without their own.')
                    ->example(['flag_file' => '/srv/shared/maintenance'])
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->scalarNode('flag_file')
                            ->info('The file that exists while maintenance is on.')
                            ->example('/srv/shared/maintenance')
                            ->cannotBeEmpty()
                            ->defaultValue('%kernel.project_dir%/var/maintenance')
                        ->end()
                    ->end()
                ->end()
            ->end()
        ;
        $root->find('content_tags.enabled')
            ->info('Whether to announce changes.')
            ->example('false');

        return $builder;
    }
}
