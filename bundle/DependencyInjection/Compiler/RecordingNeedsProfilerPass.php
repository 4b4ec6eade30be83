<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Without the profiler nobody reads the records: the publisher is not decorated, and production pays nothing. */
final class RecordingNeedsProfilerPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        if ($container->has('profiler')) {
            return;
        }
        $container->removeDefinition('orosync.recording_publisher');
        $container->removeDefinition('orosync.publishing_collector');
    }
}
