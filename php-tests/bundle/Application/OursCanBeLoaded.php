<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Fails if the class of any service of the bundle cannot be loaded in this installation. */
final class OursCanBeLoaded
{
    /** @return int how many services were looked at */
    public static function check(ContainerBuilder $container): int
    {
        $checked = 0;
        foreach ($container->getDefinitions() as $id => $definition) {
            if (!str_starts_with($id, 'orosync.') && !str_starts_with($id, 'Orosync\\')) {
                continue;
            }
            $class = $definition->getClass() ?? $id;
            if (!class_exists($class) && !interface_exists($class)) {
                throw new \LogicException(sprintf('The class "%s" of the service "%s" is not there.', $class, $id));
            }
            ++$checked;
        }

        return $checked;
    }
}
