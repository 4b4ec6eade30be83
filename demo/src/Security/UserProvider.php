<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Entity\User;
use Doctrine\ORM\EntityManagerInterface;
use Symfony\Component\Security\Core\Exception\UnsupportedUserException;
use Symfony\Component\Security\Core\Exception\UserNotFoundException;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Core\User\UserProviderInterface;

/** Loads users from the database, at sign-in and for each request. */
final class UserProvider implements UserProviderInterface
{
    public function __construct(private readonly EntityManagerInterface $entityManager)
    {
    }

    public function loadUserByIdentifier(string $identifier): User
    {
        $user = $this->entityManager->getRepository(User::class)->findOneBy(['username' => $identifier]);
        if ($user === null) {
            $exception = new UserNotFoundException("There is no user \"$identifier\".");
            $exception->setUserIdentifier($identifier);

            throw $exception;
        }

        return $user;
    }

    /** Symfony 5.4 calls this method. */
    public function loadUserByUsername(string $username): User
    {
        return $this->loadUserByIdentifier($username);
    }

    public function refreshUser(UserInterface $user): User
    {
        if (!$user instanceof User) {
            throw new UnsupportedUserException(sprintf('%s is not a user of this application.', $user::class));
        }

        return $this->loadUserByIdentifier($user->getUserIdentifier());
    }

    public function supportsClass(string $class): bool
    {
        return $class === User::class;
    }
}
