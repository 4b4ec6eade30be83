<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\DBAL\Connection;

/** The `wrapperClass` of an application. Not final, because Oro extends it. */
class OwnConnection extends Connection
{
}
