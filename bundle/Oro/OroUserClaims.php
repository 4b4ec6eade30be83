<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\CustomerBundle\Entity\CustomerUser;
use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Ticket\UserClaims;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * The claims of users in an Oro application. The ids of back office users and of storefront customers overlap, so each id comes
 * with a role. Everybody else (visitors, in-memory API users) is anonymous.
 */
final class OroUserClaims implements UserClaimsInterface
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
        $role = match (true) {
            $user instanceof User => 'user',
            $user instanceof CustomerUser => 'customer',
            default => null,
        };

        return null === $role ? ['role' => 'anonymous'] : UserClaims::of($user, $this->tokens->getToken()) + ['role' => $role];
    }
}
