<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Test\Client;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker as BaseConnectionChecker;

/** Oro's connection checker in the environment "test". */
class ConnectionChecker extends BaseConnectionChecker
{
    public function checkConnection(): bool
    {
        return false;
    }
}
