<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** The user of Symfony's security token; anonymous without one, or without the security bundle. */
final class UserClaims implements UserClaimsInterface
{
    public function __construct(private readonly ?TokenStorageInterface $tokens)
    {
    }

    public function claims(): array
    {
        $token = $this->tokens?->getToken();
        $user = $token?->getUser();
        // Symfony 5.4 still has anonymous tokens, whose user is a string.
        if (!$user instanceof UserInterface) {
            return ['role' => 'anonymous'];
        }

        return self::of($user, $token) + ['role' => 'user'];
    }

    /** @return array{sub: string, uid?: int, org?: int} */
    public static function of(UserInterface $user, ?TokenInterface $token): array
    {
        return array_filter([
            'sub' => $user->getUserIdentifier(),
            'uid' => self::idOf($user),
            // Oro keeps the organization that the user works in at the token.
            'org' => self::idOf(self::organizationOf($token)) ?? self::idOf(self::organizationOf($user)),
        ], static fn (string|int|null $claim): bool => null !== $claim);
    }

    private static function organizationOf(?object $holder): ?object
    {
        $organization = null !== $holder && method_exists($holder, 'getOrganization') ? $holder->getOrganization() : null;

        return \is_object($organization) ? $organization : null;
    }

    private static function idOf(?object $entity): ?int
    {
        $id = null !== $entity && method_exists($entity, 'getId') ? $entity->getId() : null;

        return \is_int($id) ? $id : null;
    }
}
