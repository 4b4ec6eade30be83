<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\ORM\EntityManagerInterface;
use Orosync\Ticket\UserClaimsInterface;

/** An application that keeps its users in the database and knows them otherwise. */
final class OwnClaims implements UserClaimsInterface
{
    public function __construct(private readonly EntityManagerInterface $manager)
    {
    }

    public function claims(): array
    {
        return ['sub' => 'user of ' . $this->manager->getConnection()->getDatabase(), 'uid' => 12, 'role' => 'customer'];
    }
}
