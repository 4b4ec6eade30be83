<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\UserBundle\Entity\User;
use Oro\Bundle\UserBundle\Security\UserProvider as OroUserProvider;
use Symfony\Component\Security\Core\Exception\UserNotFoundException;
use Symfony\Component\Security\Core\User\UserInterface;

/** Provides Oro's real user entities without a database. */
final class UserProvider extends OroUserProvider
{
    private const IDS = ['admin' => 1, 'bob' => 2];

    public function __construct()
    {
    }

    public static function user(string $name): User
    {
        $id = self::IDS[$name] ?? throw new UserNotFoundException("There is no user \"$name\".");
        $user = new User();
        (new \ReflectionProperty(User::class, 'id'))->setValue($user, $id);
        $user->setUsername($name);
        $user->setPassword("hash of $name");
        $user->setEnabled(true);

        return $user;
    }

    /**
     * Oro 5 declares it without types.
     *
     * @param string $username
     */
    public function loadUserByUsername($username)
    {
        return self::user($username);
    }

    public function loadUserByIdentifier(string $identifier): UserInterface
    {
        return self::user($identifier);
    }

    public function refreshUser(UserInterface $user): UserInterface
    {
        return $user;
    }

    /** @param string $class */
    public function supportsClass($class): bool
    {
        return is_a($class, User::class, true);
    }
}
