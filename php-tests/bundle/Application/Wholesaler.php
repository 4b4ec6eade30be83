<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

/** A kind of customer. */
class Wholesaler extends Customer
{
}
