<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Entity\Role;
use Demo\Entity\User;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Says to the server who is a customer. The bundle's own claims say `user` of everybody who is signed in, and a user may
 * subscribe to all that the back office sees.
 */
final class Claims implements UserClaimsInterface
{
    public function __construct(private readonly TokenStorageInterface $tokens)
    {
    }

    public function claims(): array
    {
        $user = $this->tokens->getToken()?->getUser();

        return $user instanceof UserInterface ? $this->claimsOf($user) : ['role' => 'anonymous'];
    }

    public function claimsOf(UserInterface $user): array
    {
        if (!$user instanceof User) {
            return ['role' => 'anonymous'];
        }

        return [
            'sub' => $user->getUserIdentifier(),
            'uid' => (int) $user->getId(),
            'role' => $user->getRole() === Role::Customer ? 'customer' : 'user',
        ];
    }
}
