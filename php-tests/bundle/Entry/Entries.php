<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Orosync\OrosyncBundle;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/**
 * All entry points of the bundle, where the application or a framework calls it: tagged services, decorators of other
 * services, compiler passes.
 */
final class Entries
{
    public const PARAMETER = 'orosync.tests.entries';

    /** Tags that are not entry points: log channels, and tags that the bundle reads itself. */
    private const NO_ENTRY = ['monolog.logger', 'orosync.tag_generator', 'orosync.topic_grant'];

    public static function note(ContainerBuilder $container): void
    {
        $entries = [];
        foreach ($container->getDefinitions() as $id => $definition) {
            $class = (string) $definition->getClass();
            if ((!str_starts_with($id, 'orosync.') && !str_starts_with($class, 'Orosync\\')) || str_starts_with($class, 'Orosync\\Tests\\')) {
                continue;
            }
            $decorated = $definition->getDecoratedService()[0] ?? null;
            if (null !== $decorated) {
                $entries[] = sprintf('%s decorates %s', $id, $decorated);
            }
            foreach (array_diff_key($definition->getTags(), array_flip(self::NO_ENTRY)) as $tag => $each) {
                foreach ($each as $attributes) {
                    $entries[] = rtrim(sprintf('%s %s %s', $id, $tag, $attributes['event'] ?? ''));
                }
            }
        }
        $empty = new ContainerBuilder();
        (new OrosyncBundle())->build($empty);
        foreach ($empty->getCompilerPassConfig()->getPasses() as $pass) {
            if (str_starts_with($pass::class, 'Orosync\\')) {
                $entries[] = 'pass ' . substr(strrchr($pass::class, '\\'), 1);
            }
        }
        $container->setParameter(self::PARAMETER, array_values(array_unique($entries)));
    }
}
