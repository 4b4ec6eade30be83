<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Removes the recording publisher without a profiler, so that it costs nothing in production. */
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
