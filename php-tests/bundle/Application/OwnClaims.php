<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\ORM\EntityManagerInterface;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** User claims of an application that identifies its users by the database. */
final class OwnClaims implements UserClaimsInterface
{
    public function __construct(private readonly EntityManagerInterface $manager)
    {
    }

    public function claims(): array
    {
        return $this->known();
    }

    public function claimsOf(UserInterface $user): array
    {
        return $this->known();
    }

    /** @return array{sub: string, uid: int, role: 'customer', until: int} */
    private function known(): array
    {
        return [
            'sub' => 'user of ' . $this->manager->getConnection()->getDatabase(),
            'uid' => 12,
            'role' => 'customer',
            'until' => 1_800_000_000,
        ];
    }
}
