<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Symfony\Component\Security\Core\User\UserInterface;

/** A user of the shop; the ids overlap with those of back office users. Not final, because Doctrine may use a proxy. */
class Customer implements UserInterface
{
    public function __construct(
        private readonly string $name,
        private readonly int $id,
    ) {
    }

    public function getId(): int
    {
        return $this->id;
    }

    public function getUserIdentifier(): string
    {
        return $this->name;
    }

    public function getUsername(): string
    {
        return $this->name;
    }

    public function getRoles(): array
    {
        return ['ROLE_CUSTOMER'];
    }

    public function getPassword(): ?string
    {
        return null;
    }

    public function getSalt(): ?string
    {
        return null;
    }

    public function eraseCredentials(): void
    {
    }
}
