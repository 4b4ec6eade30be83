<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Entity\Role;
use Demo\Entity\User;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Gives customers the role `customer`. The bundle's own claims use `user` for everybody who is signed in, and a user may
 * subscribe to all topics of the back office.
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
