<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

/** A subclass of customers. */
class Wholesaler extends Customer
{
}
