<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Orosync\OrosyncBundle;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/**
 * The bundle for Oro applications, which register it automatically. It has no assets: Oro's pages use Oro's own JavaScript.
 *
 * Its path is this directory, which has no `public`. Therefore the templates are registered in Twig explicitly.
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
