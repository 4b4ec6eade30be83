<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Test\Client;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker as BaseConnectionChecker;

/** What Oro puts in place in its environment "test". */
class ConnectionChecker extends BaseConnectionChecker
{
    public function checkConnection(): bool
    {
        return false;
    }
}
