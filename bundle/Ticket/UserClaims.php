<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Doctrine\Persistence\Proxy;
use Psr\Log\LoggerInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * The claims of the user in Symfony's security token; anonymous without a user or without the security bundle.
 *
 * The ids of two user classes may overlap, so an id is included only with a role that no other class has. Users of a class
 * without a role are anonymous. A subclass, such as a Doctrine proxy, has the role of its nearest parent that has one.
 */
final class UserClaims implements UserClaimsInterface
{
    /** @var array<class-string, true> classes that were already logged */
    private array $warned = [];

    /** @param array<class-string, 'user'|'customer'|'anonymous'> $roles by user class */
    public function __construct(
        private readonly ?TokenStorageInterface $tokens,
        private readonly array $roles,
        private readonly LoggerInterface $logger,
    ) {
    }

    public function claims(): array
    {
        $user = $this->tokens?->getToken()?->getUser();

        // Symfony 5.4 has anonymous tokens whose user is a string.
        return $user instanceof UserInterface ? $this->claimsOf($user) : ['role' => 'anonymous'];
    }

    public function claimsOf(UserInterface $user): array
    {
        $role = $this->roleOf($user);

        if ('anonymous' === $role) {
            return ['role' => $role];
        }
        $claims = self::of($user, $this->tokens?->getToken());
        if (!isset($claims['uid']) && null !== self::idOf($user)) {
            $this->warnOnce(
                $user::class,
                'Users of the class {class} have ids that cannot be used in topics, so they are never the "owner": an id must be an integer, or a '
                . 'string (or a stringable object, such as those of symfony/uid) of 1 to 100 bytes without "/" and "*".',
            );
        }

        return $claims + ['role' => $role];
    }

    /**
     * @param TokenInterface|null $current token of the logged-in user, who may be another one
     *
     * @return array{sub: string, uid?: int|string, org?: int}
     */
    public static function of(UserInterface $user, ?TokenInterface $current): array
    {
        $token = $current?->getUser() === $user ? $current : null;

        return array_filter([
            'sub' => self::nameOf($user),
            'uid' => UserId::of(self::idOf($user)),
            // Oro keeps the user's current organization in the token.
            'org' => self::integerIdOf(self::organizationOf($token)) ?? self::integerIdOf(self::organizationOf($user)),
        ], static fn (string|int|null $claim): bool => null !== $claim);
    }

    /** @return 'user'|'customer'|'anonymous' */
    private function roleOf(UserInterface $user): string
    {
        for ($class = $user::class; false !== $class; $class = get_parent_class($class)) {
            if (isset($this->roles[$class])) {
                return $this->roles[$class];
            }
        }
        $this->warnOnce(
            $user instanceof Proxy ? get_parent_class($user) : $user::class,
            'Users of the class {class} are anonymous to the server of live notifications, because their role is not '
            . 'configured. Add to config/packages/orosync.yaml: "orosync: {users: {{class}: user}}", or customer, or '
            . 'anonymous.',
        );

        return 'anonymous';
    }

    private function warnOnce(string $class, string $sentence): void
    {
        if (isset($this->warned[$class])) {
            return;
        }
        $this->warned[$class] = true;
        $this->logger->warning($sentence, ['class' => $class]);
    }

    /** Symfony 5.4 requires only the older method, and users of OroPlatform 5.0 and 5.1 have no other. */
    private static function nameOf(UserInterface $user): string
    {
        return method_exists($user, 'getUserIdentifier') ? $user->getUserIdentifier() : $user->getUsername();
    }

    private static function organizationOf(?object $holder): ?object
    {
        $organization = null !== $holder && method_exists($holder, 'getOrganization') ? $holder->getOrganization() : null;

        return \is_object($organization) ? $organization : null;
    }

    private static function integerIdOf(?object $organization): ?int
    {
        $id = null === $organization ? null : self::idOf($organization);

        return \is_int($id) ? $id : null;
    }

    private static function idOf(object $entity): mixed
    {
        return method_exists($entity, 'getId') ? $entity->getId() : null;
    }
}
