<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Symfony\Component\Security\Core\User\UserInterface;

/** A user with an id and an organization, like Oro's. */
final class User implements UserInterface
{
    public function __construct(
        private readonly string $name,
        private readonly int $id,
        private readonly ?Organization $organization,
    ) {
    }

    public function getId(): int
    {
        return $this->id;
    }

    public function getOrganization(): ?Organization
    {
        return $this->organization;
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
        return ['ROLE_USER'];
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
