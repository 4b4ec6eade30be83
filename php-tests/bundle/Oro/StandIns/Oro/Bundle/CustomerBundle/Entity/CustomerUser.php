<?php

declare(strict_types=1);

namespace Oro\Bundle\CustomerBundle\Entity;

use Orosync\Tests\Application\Organization;
use Symfony\Component\Security\Core\User\UserInterface;

class CustomerUser implements UserInterface
{
    public function __construct(
        private readonly string $name,
        private readonly int $id,
        private readonly ?Organization $organization = null,
        private readonly string $password = 'hash',
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

    public function getPassword(): ?string
    {
        return $this->password;
    }

    public function getRoles(): array
    {
        return ['ROLE_CUSTOMER'];
    }

    public function getSalt(): ?string
    {
        return null;
    }

    public function eraseCredentials(): void
    {
    }
}
