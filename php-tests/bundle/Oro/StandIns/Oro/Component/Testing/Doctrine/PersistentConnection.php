<?php

declare(strict_types=1);

namespace Oro\Component\Testing\Doctrine;

use Doctrine\DBAL\Connection;

/** 5.0 to 7.0: one connection to the database for all kernels of a functional test. Only its type matters here. */
class PersistentConnection extends Connection
{
}
