<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Core\User\UserProviderInterface;

/** @implements UserProviderInterface<Customer> */
final class CustomerProvider implements UserProviderInterface
{
    public function loadUserByIdentifier(string $identifier): Customer
    {
        return new Customer($identifier, 7);
    }

    public function loadUserByUsername(string $username): Customer
    {
        return $this->loadUserByIdentifier($username);
    }

    public function refreshUser(UserInterface $user): UserInterface
    {
        return $user;
    }

    public function supportsClass(string $class): bool
    {
        return is_a($class, Customer::class, true);
    }
}
