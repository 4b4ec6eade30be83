<?php

declare(strict_types=1);

namespace Orosync\Tests\Topic;

use Orosync\Tests\Application\Entity\Company;
use Orosync\Topic\Topic;

/** A service that declares its topic. */
#[Topic('acme/shipped/{uid:int}', subscribe: 'owner')]
#[Topic('acme/late', subscribe: 'user', publish: 'nobody')]
#[Topic('acme/sales', subscribe: ['ROLE_SALES', 'ROLE_LEAD'])]
#[Topic('acme/company/{company}', voter: 'VIEW', class: Company::class)]
final class OrderShipped
{
}
