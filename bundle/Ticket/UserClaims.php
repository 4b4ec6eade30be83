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
        $user = $this->tokens?->getToken()?->getUser();

        // Symfony 5.4 still has anonymous tokens, whose user is a string.
        return $user instanceof UserInterface ? $this->claimsOf($user) : ['role' => 'anonymous'];
    }

    public function claimsOf(UserInterface $user): array
    {
        return self::of($user, $this->tokens?->getToken()) + ['role' => 'user'];
    }

    /**
     * @param TokenInterface|null $current the token of the one who is logged in here, which may be somebody else's
     *
     * @return array{sub: string, uid?: int, org?: int}
     */
    public static function of(UserInterface $user, ?TokenInterface $current): array
    {
        $token = $current?->getUser() === $user ? $current : null;

        return array_filter([
            'sub' => self::nameOf($user),
            'uid' => self::idOf($user),
            // Oro keeps the organization that the user works in at the token.
            'org' => self::idOf(self::organizationOf($token)) ?? self::idOf(self::organizationOf($user)),
        ], static fn (string|int|null $claim): bool => null !== $claim);
    }

    /** The interface of Symfony 5.4 demands only the older method, and the users of OroPlatform 5.0 and 5.1 have no other. */
    private static function nameOf(UserInterface $user): string
    {
        return method_exists($user, 'getUserIdentifier') ? $user->getUserIdentifier() : $user->getUsername();
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
