<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle;

use Oro\Bundle\SyncBundle\DependencyInjection\Compiler\SkipTagTrackingPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * 5.0 to 7.0: has the directory Resources/public, which Symfony publishes as public/bundles/orosync, the bundle's name in lower
 * case.
 */
final class OroSyncBundle extends Bundle
{
    public function build(ContainerBuilder $container): void
    {
        parent::build($container);
        $container->addCompilerPass(new SkipTagTrackingPass());
    }
}
