<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Decorator;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;

final class OwnConnectionChecker extends ConnectionChecker
{
    public int $calls = 0;

    public function __construct(private readonly ConnectionChecker $inner)
    {
    }

    public function checkConnection(): bool
    {
        ++$this->calls;

        return $this->inner->checkConnection();
    }
}
