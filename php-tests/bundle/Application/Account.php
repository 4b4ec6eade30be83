<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Symfony\Component\Security\Core\User\UserInterface;

/** A user with an id of any type, such as a UUID object. */
final class Account implements UserInterface
{
    /** @param list<string> $roles */
    public function __construct(
        private readonly string $name,
        private readonly mixed $id,
        private readonly array $roles = ['ROLE_USER'],
    ) {
    }

    /** The form of an id of Symfony's Uid component. */
    public static function uuid(string $text): \Stringable
    {
        return new class ($text) implements \Stringable {
            public function __construct(private readonly string $text)
            {
            }

            public function __toString(): string
            {
                return $this->text;
            }
        };
    }

    public function getId(): mixed
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
        return $this->roles;
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
