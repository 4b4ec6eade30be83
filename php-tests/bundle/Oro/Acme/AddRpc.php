<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

/** A remote procedure for browsers. */
final class AddRpc
{
}
