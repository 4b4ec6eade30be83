<?php

declare(strict_types=1);

namespace Orosync\Tests\Topic;

use Orosync\Topic\Topic;

/** A service that declares what it publishes to. */
#[Topic('acme/shipped/{uid:int}', subscribe: 'owner')]
#[Topic('acme/late', subscribe: 'user', publish: 'nobody')]
final class OrderShipped
{
}
