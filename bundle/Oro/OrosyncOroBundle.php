<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Orosync\OrosyncBundle;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/**
 * The bundle as an Oro application registers it by itself: without assets, for Oro's pages have Oro's own JavaScript.
 *
 * Its path is this directory, which has no `public`; the templates are named to Twig for that reason.
 */
final class OrosyncOroBundle extends OrosyncBundle
{
    public function build(ContainerBuilder $container): void
    {
        parent::build($container);

        if ($container->hasExtension('twig')) {
            $namespace = preg_replace('/Bundle$/', '', self::NAME);
            $container->prependExtensionConfig('twig', ['paths' => [\dirname(__DIR__) . '/templates' => $namespace]]);
        }
    }
}
