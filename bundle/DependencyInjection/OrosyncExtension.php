<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Doctrine\DBAL\Driver\Middleware;
use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\Dsn;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Ticket\OriginPattern;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Topic\DeclaredTopics;
use Orosync\Topic\Topic;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\Config\FileLocator;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Loader\PhpFileLoader;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Notifier\Channel\ChannelInterface;
use Twig\Extension\AbstractExtension;

/** Loads the services and passes the configuration to them. */
final class OrosyncExtension extends Extension
{
    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = $this->processConfiguration(new Configuration(), $configs);
        $this->refuseWrongEndpoints($config, $container);
        $this->refuseWrongOrigins($config['ticket']['origins'], $container);

        $isOro = isset($container->getParameter('kernel.bundles')['OroSyncBundle']);

        // OroPlatform 5 inspects all service classes, and fails for one that cannot be loaded.
        $loader = new PhpFileLoader($container, new FileLocator(__DIR__ . '/../config'));
        $loader->load('services.php');
        $loader->load('profiler.php');
        $isTest = $config['test'] ?? ($isOro && 'test' === $container->getParameter('kernel.environment'));
        if ($isTest) {
            $loader->load('test.php');
        }
        if (class_exists(AbstractExtension::class)) {
            $loader->load('twig.php');
        }
        if (interface_exists(Middleware::class)) {
            $loader->load('commit_middleware.php');
        }
        if (interface_exists(MessageBusInterface::class)) {
            $loader->load('messenger.php');
        }
        if (interface_exists(ChannelInterface::class)) {
            $loader->load('notifier.php');
            $container->getDefinition('orosync.notifier_channel')
                ->setArgument('$topic', $config['notifier']['topic']);
        }
        $container->registerForAutoconfiguration(TagGeneratorInterface::class)->addTag('orosync.tag_generator');
        $container->registerAttributeForAutoconfiguration(
            Topic::class,
            static function (ChildDefinition $definition, Topic $topic, \ReflectionClass $class): void {
                // A tag attribute cannot be a list.
                $subscribe = \is_array($topic->subscribe) ? implode(',', $topic->subscribe) : $topic->subscribe;
                $definition->addTag('orosync.topic', ['subscribe' => $subscribe, 'origin' => $class->name] + get_object_vars($topic));
            },
        );
        $container->registerForAutoconfiguration(TopicGrantInterface::class)->addTag('orosync.topic_grant');

        $endpoints = new EndpointSettings($container->getParameterBag());
        $bind = $endpoints->server($config['server']['bind'])
            // Without its own configuration file the server gets the listen address from the command.
            ?? (null === $config['server']['config'] ? BindAddress::DEFAULT : null);
        $backend = $endpoints->backend($config['backend']);
        $frontend = $endpoints->frontend($config['frontend']);
        $arguments = [
            'orosync.bind_address' => ['$settings' => $bind],
            'orosync.backend_endpoint' => ['$settings' => $backend],
            'orosync.publisher_factory' => ['$caFile' => $config['backend_ca_file']],
            'orosync.frontend_endpoint' => ['$settings' => $frontend],
            'orosync.server_tool' => ['$caFile' => $config['backend_ca_file']],
            'orosync.inspection' => [
                '$sources' => [
                    'backend' => self::source($config['backend'], $backend, $container),
                    'frontend' => self::source($config['frontend'], $frontend, $container),
                ],
                '$isTest' => $isTest,
                '$caFile' => $config['backend_ca_file'],
            ],
            'orosync.shared_secret' => ['$secret' => $config['secret'], '$secretFile' => $config['secret_file']],
            'orosync.server_binary' => ['$configured' => $config['server']['binary']],
            'orosync.server_command' => ['$configFile' => $config['server']['config']],
            'orosync.declared_topics' => ['$topics' => self::topics($config['topics']), '$areAll' => !$isOro],
            'orosync.user_claims' => ['$roles' => $config['users']],
            'orosync.ticket_origins' => ['$hosts' => $config['ticket']['origins']],
            'orosync.browser_tickets' => ['$ttl' => $config['ticket']['ttl']],
            'orosync.maintenance_mode' => ['$file' => $config['maintenance']['flag_file']],
            'orosync.content_tag_listener' => ['$skip' => $config['content_tags']['skip']],
        ];
        foreach ($arguments as $id => $values) {
            foreach ($values as $name => $value) {
                $container->getDefinition($id)->setArgument($name, $value);
            }
        }

        if (!$config['content_tags']['enabled']) {
            $container->removeDefinition('orosync.content_tag_listener');
            $container->removeDefinition('orosync.commit_middleware');
        }
        if ($isOro) {
            $loader->load('oro.php');
            // In Oro the exported file contains all topics, including these; a list in another file would replace it.
            $container->getDefinition('orosync.server_command')->setArgument('$topics', new Definition(DeclaredTopics::class));
            if ($isTest) {
                // Oro's own tickets need no server, and its functional tests pass them to the old server's listeners.
                $container->removeDefinition('orosync.oro.ticket_provider');
            }
            if ([] === $config['ticket']['origins']) {
                $container->setAlias('orosync.ticket_origins', 'orosync.oro.ticket_origins');
            }
            $container->setParameter('orosync.oro.skipped_classes', $config['content_tags']['skip']);
        }
    }

    /**
     * @param array<string, array{subscribe: string|null, publish: string, voter: string|null, class: string|null}> $configured
     *
     * @return list<array<string, string|null>> with the properties of {@see Topic} and their origin
     */
    private static function topics(array $configured): array
    {
        $topics = [];
        foreach ($configured as $pattern => $who) {
            $topics[] = ['pattern' => (string) $pattern] + $who + ['origin' => 'orosync.topics'];
        }

        return $topics;
    }

    /**
     * The source of an endpoint's setting, as text.
     *
     * @param array<string, mixed> $settings result of {@see EndpointSettings}
     */
    private static function source(mixed $configured, array $settings, ContainerBuilder $container): string
    {
        $variables = [];
        $container->resolveEnvPlaceholders($settings, null, $variables);

        return match (true) {
            [] !== $variables => sprintf('%s, from %s', $settings['key'], implode(' and ', array_keys($variables))),
            null === $configured && str_starts_with($settings['key'], 'orosync.') => 'by default',
            default => $settings['key'],
        };
    }

    /**
     * Checks literal values while the container is built; values from the environment are known only at run time.
     *
     * @param array<string, mixed> $config
     */
    private function refuseWrongEndpoints(array $config, ContainerBuilder $container): void
    {
        $endpoints = [
            'orosync.server.bind' => $config['server']['bind'],
            'orosync.backend' => $config['backend'],
            'orosync.frontend' => $config['frontend'],
        ];
        foreach ($endpoints as $key => $dsn) {
            $variables = [];
            $container->resolveEnvPlaceholders($dsn, null, $variables);
            if ([] !== $variables || ('orosync.frontend' === $key && FrontendEndpoint::isPath($dsn))) {
                continue;
            }
            try {
                $settings = ['key' => $key, 'dsn' => $dsn];
                'orosync.backend' === $key ? Dsn::listFromSettings($settings) : Dsn::fromSettings($settings);
            } catch (InvalidEndpointException $e) {
                throw new InvalidConfigurationException($e->getMessage(), 0, $e);
            }
        }
    }

    /**
     * Checks literal origins while the container is built.
     *
     * @param list<scalar|null> $hosts
     */
    private function refuseWrongOrigins(array $hosts, ContainerBuilder $container): void
    {
        if (\count($hosts) > OriginPattern::MAX_IN_TICKET) {
            throw new InvalidConfigurationException(sprintf(
                'orosync.ticket.origins: %d hosts, a ticket holds at most %d. A wildcard such as *.example.com stands for many.',
                \count($hosts),
                OriginPattern::MAX_IN_TICKET,
            ));
        }
        foreach ($hosts as $host) {
            $variables = [];
            $container->resolveEnvPlaceholders($host, null, $variables);
            if ([] === $variables && !OriginPattern::accepts((string) $host)) {
                throw new InvalidConfigurationException(sprintf(
                    'orosync.ticket.origins: "%s" is not a host. Write crm.example.com, *.example.com, same host or *.',
                    $host,
                ));
            }
        }
    }
}
