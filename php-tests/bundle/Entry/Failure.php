<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Reference;

/** Breaks the services behind the bundle's entry points before the container is compiled. */
final class Failure
{
    /** Every call throws. */
    public const OF_CALLS = 'calls fail';

    /** No service can be built, as with a missing environment variable. */
    public const OF_BUILDING = 'building fails';

    /** Every call throws, and so does the logger, like Monolog if its file cannot be written. */
    public const OF_THE_LOG = 'calls and the log fail';

    public const ALL = [self::OF_CALLS, self::OF_BUILDING, self::OF_THE_LOG];

    /** With any of these, tags are generated but their announcement fails. */
    public const NOT_OF_TAGS = 'tags are made';

    private const REPLACED = [
        PublisherInterface::class,
        UserClaimsInterface::class,
        TagGeneratorInterface::class,
        TicketIssuerInterface::class,
    ];

    /** Final classes of the bundle, which can only fail when they are built. */
    private const BUILT = ['orosync.backend_endpoint', 'orosync.frontend_endpoint', 'orosync.bind_address'];

    /** Services of an Oro application that the commands read. */
    private const ROUTER = 'gos_pubsub_router.router.websocket';

    /** @param list<string> $with what the test kernel is asked for */
    public static function apply(ContainerBuilder $container, array $with): void
    {
        if ([] === array_intersect(self::ALL, $with)) {
            return;
        }
        $broken = static fn (): Definition => (new Definition(BrokenService::class))->setPublic(true);
        $unbuildable = static fn (?string $class): Definition => (new Definition($class))->setFactory([BrokenService::class, 'build'])->setPublic(true);
        $ofBuilding = \in_array(self::OF_BUILDING, $with, true);
        $working = \in_array(self::NOT_OF_TAGS, $with, true) ? [TagGeneratorInterface::class] : [];
        foreach (array_diff(self::REPLACED, $working) as $id) {
            $container->setDefinition('broken.' . $id, $ofBuilding ? $unbuildable($id) : $broken());
            $container->setAlias($id, 'broken.' . $id)->setPublic(true);
        }
        foreach ($ofBuilding ? array_filter(self::BUILT, $container->hasDefinition(...)) : [] as $id) {
            $container->setDefinition($id, $unbuildable($container->getDefinition($id)->getClass()));
        }
        if ($container->hasDefinition(self::ROUTER)) {
            $class = $container->getDefinition(self::ROUTER)->getClass();
            $container->setDefinition(self::ROUTER, $ofBuilding ? $unbuildable($class) : new Definition(BrokenRouter::class));
        }
        if (\in_array(self::OF_THE_LOG, $with, true)) {
            $container->setDefinition('broken.logger', new Definition(BrokenLogger::class));
            foreach ($container->getDefinitions() as $id => $definition) {
                foreach (str_starts_with($id, 'orosync.') ? $definition->getArguments() : [] as $name => $argument) {
                    if ($argument instanceof Reference && 'logger' === (string) $argument) {
                        $definition->setArgument($name, new Reference('broken.logger'));
                    }
                }
            }
        }
    }
}
