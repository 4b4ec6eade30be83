<?php

declare(strict_types=1);

namespace Oro\Bundle\PlatformBundle;

use Oro\Bundle\PlatformBundle\DependencyInjection\Compiler\TwigServiceLocatorPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;

final class OroPlatformBundle extends Bundle
{
    /** 5.0 to 7.0: before optimization, when no service has been removed yet, and before the passes of later bundles. */
    public function build(ContainerBuilder $container): void
    {
        parent::build($container);
        $container->addCompilerPass(new TwigServiceLocatorPass());
    }
}
