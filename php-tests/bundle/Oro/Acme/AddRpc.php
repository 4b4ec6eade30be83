<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

/** Was called by browsers. */
final class AddRpc
{
}
