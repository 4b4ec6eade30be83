<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\EntityBundle\ORM\EntityClassResolver;
use Oro\Bundle\ImapBundle\Topic\SyncFailTopic;
use Oro\Bundle\SecurityBundle\Authentication\TokenAccessor;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Oro\Bundle\SyncBundle\Topic\SecuredTopic;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Extension\PrependExtensionInterface;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\DependencyInjection\ServiceLocator;
use Symfony\Component\HttpKernel\DependencyInjection\Extension;
use Symfony\Component\Yaml\Yaml;

/** Services that OroSyncBundle and related bundles refer to, and the topics of six other bundles. */
final class PlatformExtension extends Extension implements PrependExtensionInterface
{
    private const TOPICS = [
        SecuredTopic::class => ['oro_email.event', 'oro_reminder.remind', 'oro_entity_config.attribute_import', 'acme.inbox'],
        BroadcastTopic::class => ['oro_user.outdated_user_page', 'oro_message_queue.message_queue_heartbeat', 'acme.news'],
        SyncFailTopic::class => ['oro_imap.sync_fail'],
        ChatTopic::class => ['acme.chat'],
    ];

    public function getAlias(): string
    {
        return 'platform';
    }

    /** Loads the configuration in each bundle's app.yml, like OroPlatformBundle. */
    public function prepend(ContainerBuilder $container): void
    {
        foreach ($container->getParameter('kernel.bundles') as $bundle) {
            $file = \dirname((string) (new \ReflectionClass($bundle))->getFileName()) . '/Resources/config/oro/app.yml';
            $configuration = is_file($file) ? Yaml::parseFile($file, Yaml::PARSE_CUSTOM_TAGS | Yaml::PARSE_CONSTANT) : [];
            foreach ($configuration as $extension => $values) {
                if ($container->hasExtension($extension)) {
                    $container->prependExtensionConfig($extension, $values ?? []);
                }
            }
        }
    }

    /** @param array<mixed> $configs */
    public function load(array $configs, ContainerBuilder $container): void
    {
        $set = static fn (string $id, string $class, array $arguments = []): Definition
            => $container->setDefinition($id, (new Definition($class, $arguments))->setPublic(true));
        $tokens = new Reference('security.token_storage');
        $set('oro_platform.twig.service_locator', ServiceLocator::class, [[]])->addTag('container.service_locator');
        $set('oro_user.security.provider', UserProvider::class);
        $set('oro_security.token_accessor', TokenAccessor::class, [$tokens]);
        $set('oro_config.global', GlobalConfig::class);
        $set('oro_entity.orm.entity_class_resolver', EntityClassResolver::class, [new Reference('doctrine')]);
        $container->setDefinition('oro.data.cache', (new ChildDefinition('cache.app'))->setAbstract(true)->addTag('cache.pool'));
        // As in OroMessageQueueBundle.
        $set(Watcher::class, Watcher::class)->addTag('oro.doctrine.connection.transaction_watcher');
        $set(CookieAuthenticator::class, CookieAuthenticator::class, [new Reference('oro_user.security.provider')]);
        $set(SecurityFunctions::class, SecurityFunctions::class, [$tokens])->addTag('twig.extension');
        $set(Pages::class, Pages::class, [new Reference('twig')])->addTag('controller.service_arguments');
        foreach (self::TOPICS as $class => $names) {
            foreach ($names as $name) {
                $manipulator = is_a($class, SecuredTopic::class, true) ? [new Reference('gos_web_socket.client.manipulator')] : [];
                $set("app.topic.$name", $class, [$name, ...$manipulator])->addTag('gos_web_socket.topic');
            }
        }
    }
}
