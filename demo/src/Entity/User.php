<?php

declare(strict_types=1);

namespace Demo\Entity;

use Doctrine\ORM\Mapping as ORM;
use Symfony\Component\Security\Core\User\PasswordAuthenticatedUserInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** Somebody who signs in. Not final: Doctrine may put a proxy in its place. */
#[ORM\Entity]
#[ORM\Table(name: 'user')]
class User implements UserInterface, PasswordAuthenticatedUserInterface
{
    #[ORM\Id]
    #[ORM\GeneratedValue]
    #[ORM\Column]
    private ?int $id = null;

    #[ORM\Column]
    private string $passwordHash = '';

    public function __construct(
        #[ORM\Column(unique: true)]
        private string $username,
        #[ORM\Column]
        private string $name,
        #[ORM\Column]
        private bool $admin,
    ) {
    }

    public function getId(): ?int
    {
        return $this->id;
    }

    public function getName(): string
    {
        return $this->name;
    }

    public function getUserIdentifier(): string
    {
        return $this->username;
    }

    /** Symfony 5.4 still asks by this name. */
    public function getUsername(): string
    {
        return $this->username;
    }

    public function getRoles(): array
    {
        return [$this->admin ? 'ROLE_ADMIN' : 'ROLE_USER'];
    }

    public function setPasswordHash(string $hash): void
    {
        $this->passwordHash = $hash;
    }

    public function getPassword(): string
    {
        return $this->passwordHash;
    }

    public function getSalt(): ?string
    {
        return null;
    }

    public function eraseCredentials(): void
    {
    }
}
