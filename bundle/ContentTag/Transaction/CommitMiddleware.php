<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Driver;
use Doctrine\DBAL\Driver\Connection as DriverConnection;
use Doctrine\DBAL\Driver\Middleware;
use Doctrine\DBAL\Driver\Middleware\AbstractConnectionMiddleware;
use Doctrine\DBAL\Driver\Middleware\AbstractDriverMiddleware;

/**
 * Reports the end of each outermost transaction: DBAL calls its driver's commit and rollback only for those.
 *
 * Middlewares are the only hook that DBAL 3 and 4 share: DBAL 4 has no events.
 */
final class CommitMiddleware implements Middleware
{
    public function __construct(private readonly UncommittedTags $uncommitted)
    {
    }

    public function wrap(Driver $driver): Driver
    {
        return new class ($driver, $this->uncommitted) extends AbstractDriverMiddleware {
            public function __construct(Driver $driver, private readonly UncommittedTags $uncommitted)
            {
                parent::__construct($driver);
            }

            public function connect(#[\SensitiveParameter] array $params): DriverConnection
            {
                $connection = parent::connect($params);
                $native = NativeConnection::of($connection);
                // The connection cannot be identified, so its tags do not wait.
                if (null === $native) {
                    return $connection;
                }
                $this->uncommitted->watch($native);

                return (new \ReflectionMethod(AbstractConnectionMiddleware::class, 'commit'))->hasReturnType()
                    ? new Dbal4Connection($connection, $native, $this->uncommitted)
                    : new Dbal3Connection($connection, $native, $this->uncommitted);
            }
        };
    }
}
