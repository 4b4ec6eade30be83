<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Driver\Connection as DriverConnection;

/** The database extension's own object of a connection. DBAL's connection and the driver's connection share it. */
final class NativeConnection
{
    /** @return object|null null: not accessible under DBAL 2, not provided by the driver, or a resource */
    public static function of(Connection|DriverConnection $connection): ?object
    {
        if (!method_exists($connection, 'getNativeConnection')) {
            return null;
        }
        try {
            $native = $connection->getNativeConnection();
        } catch (\LogicException) {
            return null;
        }

        return \is_object($native) ? $native : null;
    }
}
