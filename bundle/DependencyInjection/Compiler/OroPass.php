<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;
use Orosync\Oro\OrosyncTagListener;
use Psr\Container\NotFoundExceptionInterface;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\Compiler\ServiceLocatorTagPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Wires what depends on the complete container of an Oro application: the tag listener, the name of the server command, and
 * services that other bundles have registered for Oro's old server. Does nothing in other applications.
 */
final class OroPass implements CompilerPassInterface
{
    private const TAG_LISTENER = 'oro_sync.event_listener.doctrine_tag';
    private const SERVER_COMMAND = 'gos:websocket:server';

    /** Service tags of Oro's old server, and their names in `orosync:migrate`. */
    private const PARTS = [
        'gos_web_socket.rpc' => 'RPC handler',
        'gos_web_socket.periodic' => 'periodic task',
        'gos_web_socket.pusher' => 'pusher',
        'gos_web_socket.push_handler' => 'push handler',
    ];

    /** Replaced services of Oro. `orosync:migrate` lists their decorators and the application's own replacements. */
    private const REPLACED = [
        'oro_sync.websocket_client',
        'oro_sync.websocket_client.basic',
        'oro_sync.client.connection_checker',
        'oro_sync.client.wamp.factory',
        'oro_sync.authentication.ticket_provider',
        'oro_sync.content.data_update_topic_sender',
        self::TAG_LISTENER,
    ];

    /** Namespaces of Oro's old server's own services, which are not reported. */
    private const ITS_OWN = ['Oro\\Bundle\\SyncBundle\\', 'Gos\\'];

    public function process(ContainerBuilder $container): void
    {
        if (!$container->hasDefinition('orosync.oro.topics')) {
            return;
        }
        $changes = $this->changesToOro($container);
        $this->followFlushes($container);
        $this->takeOverTheServerCommand($container);

        $handlers = [];
        $classes = [];
        foreach (array_keys($container->findTaggedServiceIds('gos_web_socket.topic')) as $id) {
            $handlers[$id] = new Reference($id);
            $classes[$id] = self::classOf($container, $container->getDefinition($id));
        }
        $container->getDefinition('orosync.oro.topics')
            ->setArgument('$handlers', ServiceLocatorTagPass::register($container, $handlers))
            ->setArgument('$handlerClasses', $classes);
        $container->getDefinition('orosync.oro.migrate_command')
            ->setArgument('$parts', $this->partsOfTheServer($container))
            ->setArgument('$changes', $changes);
    }

    /** Keeps an application's own subclass of Oro's listener: it sends its tags with the flush. */
    private function followFlushes(ContainerBuilder $container): void
    {
        if (!$container->hasDefinition(self::TAG_LISTENER)) {
            // Removed by an application that announces nothing.
            return;
        }
        $listener = $container->getDefinition(self::TAG_LISTENER);
        if (DoctrineTagEventListener::class === self::classOf($container, $listener)) {
            $listener->setClass(OrosyncTagListener::class)
                ->addMethodCall('setCurrentFlush', [new Reference('orosync.oro.current_flush')]);
        }
        foreach ($container->getParameter('orosync.oro.skipped_classes') as $class) {
            if (!class_exists($class)) {
                // Oro's listener would throw at every flush.
                throw new InvalidConfigurationException(sprintf(
                    'orosync.content_tags.skip: the class "%s" does not exist.',
                    $class,
                ));
            }
            $listener->addMethodCall('markSkipped', [ltrim($class, '\\')]);
        }
    }

    private function takeOverTheServerCommand(ContainerBuilder $container): void
    {
        foreach ($container->findTaggedServiceIds('console.command') as $id => $tags) {
            $names = array_column($tags, 'command');
            if (\in_array(self::SERVER_COMMAND, $names, true) || 'gos_web_socket.command.websocket_server' === $id) {
                $container->getDefinition($id)->clearTag('console.command');
            }
        }
    }

    /** @return list<array{kind: string, id: string, class: string}> */
    private function partsOfTheServer(ContainerBuilder $container): array
    {
        $parts = [];
        foreach (self::PARTS as $tag => $kind) {
            foreach (array_keys($container->findTaggedServiceIds($tag)) as $id) {
                $parts[] = ['kind' => $kind, 'id' => $id];
            }
        }
        foreach ($container->findTaggedServiceIds('kernel.event_listener') as $id => $tags) {
            foreach (array_filter(array_column($tags, 'event'), self::isOfTheServer(...)) as $event) {
                $parts[] = ['kind' => 'listener of ' . $event, 'id' => $id];
            }
        }
        $found = [];
        foreach ($parts as $part) {
            $class = self::classOf($container, $container->getDefinition($part['id']));
            if (!self::isItsOwn($class)) {
                $found[] = $part + ['class' => $class];
            }
        }

        return $found;
    }

    /** @return list<array{kind: string, id: string, class: string}> */
    private function changesToOro(ContainerBuilder $container): array
    {
        $changes = [];
        foreach ($container->getDefinitions() as $id => $definition) {
            $decorated = $definition->getDecoratedService()[0] ?? null;
            $kind = match (true) {
                str_starts_with($id, 'orosync.') => null,
                \in_array($decorated, self::REPLACED, true) => 'decorates ' . $decorated,
                \in_array($id, self::REPLACED, true) => 'is in the place of Oro\'s own class',
                default => null,
            };
            $class = null === $kind ? '' : self::classOf($container, $definition);
            if (null !== $kind && !self::isItsOwn($class)) {
                $changes[] = ['kind' => $kind, 'id' => $id, 'class' => $class];
            }
        }

        return $changes;
    }

    private static function isOfTheServer(string $event): bool
    {
        return str_starts_with($event, 'gos_web_socket.');
    }

    private static function isItsOwn(string $class): bool
    {
        return [] !== array_filter(self::ITS_OWN, static fn (string $prefix): bool => str_starts_with($class, $prefix));
    }

    /**
     * The class of a definition, before Symfony resolves parents and parameters.
     *
     * @return string empty: a parent or a parameter is missing, which the container reports itself
     */
    private static function classOf(ContainerBuilder $container, Definition $definition): string
    {
        try {
            while (null === $definition->getClass() && $definition instanceof ChildDefinition) {
                $definition = $container->findDefinition($definition->getParent());
            }

            return (string) $container->getParameterBag()->resolveValue($definition->getClass());
        } catch (NotFoundExceptionInterface) {
            return '';
        }
    }
}
