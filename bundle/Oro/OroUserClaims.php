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
 * Who somebody is in an Oro application: users of the back office and customers of the storefront have ids of their own
 * that overlap, so the role goes with the id. Everybody else (visitors, users of an API in memory) is nobody in particular.
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
