<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Driver\Connection as DriverConnection;

/** The database extension's own object behind a connection: DBAL's connection and its driver's have it in common. */
final class NativeConnection
{
    /** @return object|null null: DBAL 2 has no way to it, the rare driver has none, or it is a resource */
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
