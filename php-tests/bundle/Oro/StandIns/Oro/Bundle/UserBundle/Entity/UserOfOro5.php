<?php

declare(strict_types=1);

namespace Oro\Bundle\UserBundle\Entity;

use Orosync\Tests\Application\Organization;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Oro 5.0 and 5.1, on Symfony 5.4: AbstractUser has getUsername() but not getUserIdentifier(), which that Symfony's interface
 * only documents.
 */
abstract class UserOfOro5 implements UserInterface
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
        return ['ROLE_USER'];
    }

    public function getSalt(): ?string
    {
        return null;
    }

    public function eraseCredentials(): void
    {
    }
}
