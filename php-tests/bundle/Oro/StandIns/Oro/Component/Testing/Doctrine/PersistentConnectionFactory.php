<?php

declare(strict_types=1);

namespace Oro\Component\Testing\Doctrine;

use Orosync\Tests\Application\ConnectionFactory;

/** 5.0 to 7.0: creates every connection of the environment `test`, and refuses classes that are not test connections. */
class PersistentConnectionFactory extends ConnectionFactory
{
    protected function wrapperClass(?string $configured): ?string
    {
        if (null !== $configured && !is_a($configured, PersistentConnection::class, true)) {
            throw new \LogicException(sprintf('The wrapper class "%s" is no "%s".', $configured, PersistentConnection::class));
        }

        return $configured ?? PersistentConnection::class;
    }
}
