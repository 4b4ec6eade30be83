<?php

declare(strict_types=1);

namespace Demo\Entity;

use Doctrine\ORM\Mapping as ORM;
use Symfony\Component\Security\Core\User\PasswordAuthenticatedUserInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** A user of the back office or of a customer. Not final, because Doctrine may use a proxy. */
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

    /** @param Company|null $company of a customer; null: back office */
    public function __construct(
        #[ORM\Column(unique: true)]
        private string $username,
        #[ORM\Column]
        private string $name,
        #[ORM\Column(enumType: Role::class)]
        private Role $role,
        #[ORM\ManyToOne]
        private ?Company $company = null,
    ) {
    }

    /** Fields stored in the session to check whether the login is still valid; all others are loaded from the database. */
    public function __serialize(): array
    {
        return [$this->id, $this->username, $this->name, $this->role, $this->passwordHash];
    }

    public function __unserialize(array $data): void
    {
        [$this->id, $this->username, $this->name, $this->role, $this->passwordHash] = $data;
        $this->company = null;
    }

    public function getId(): ?int
    {
        return $this->id;
    }

    public function getName(): string
    {
        return $this->name;
    }

    public function getRole(): Role
    {
        return $this->role;
    }

    public function getCompany(): ?Company
    {
        return $this->company;
    }

    public function getUserIdentifier(): string
    {
        return $this->username;
    }

    /** Symfony 5.4 calls this method. */
    public function getUsername(): string
    {
        return $this->username;
    }

    public function getRoles(): array
    {
        return [$this->role->name()];
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
