<?php

declare(strict_types=1);

namespace Oro\Bundle\CustomerBundle\Entity;

use Symfony\Component\Security\Core\User\UserInterface;

/** Replaces the storefront user of OroCommerce: class name, id and name. */
final class CustomerUser implements UserInterface
{
    public function __construct(private readonly string $name, private readonly int $id)
    {
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

    public function getPassword(): ?string
    {
        return null;
    }

    public function getSalt(): ?string
    {
        return null;
    }

    /** @return array<string> */
    public function getRoles(): array
    {
        return [];
    }

    public function eraseCredentials(): void
    {
    }
}
