<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Doctrine\Persistence\Proxy;
use Psr\Log\LoggerInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * The user of Symfony's security token; anonymous without one, or without the security bundle.
 *
 * Ids of two classes of users overlap, so an id is said only with a role that no other class has. Whose class has none is
 * nobody in particular. A subclass, such as a proxy of Doctrine's, has the role of its nearest parent that has one.
 */
final class UserClaims implements UserClaimsInterface
{
    /** @var array<class-string, true> those that the log has been told of */
    private array $warned = [];

    /** @param array<class-string, 'user'|'customer'|'anonymous'> $roles by class of users */
    public function __construct(
        private readonly ?TokenStorageInterface $tokens,
        private readonly array $roles,
        private readonly LoggerInterface $logger,
    ) {
    }

    public function claims(): array
    {
        $user = $this->tokens?->getToken()?->getUser();

        // Symfony 5.4 still has anonymous tokens, whose user is a string.
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
                'Users of the class {class} have ids that no topic can name, so "owner" is none of them: an id is an integer, or a '
                . 'text (or an object that is one, as those of symfony/uid) of 1 to 100 bytes without "/" and "*".',
            );
        }

        return $claims + ['role' => $role];
    }

    /**
     * @param TokenInterface|null $current the token of the one who is logged in here, which may be somebody else's
     *
     * @return array{sub: string, uid?: int|string, org?: int}
     */
    public static function of(UserInterface $user, ?TokenInterface $current): array
    {
        $token = $current?->getUser() === $user ? $current : null;

        return array_filter([
            'sub' => self::nameOf($user),
            'uid' => UserId::of(self::idOf($user)),
            // Oro keeps the organization that the user works in at the token.
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
            'Users of the class {class} are anonymous to the server of live notifications, as nothing says which role '
            . 'they have. Write into config/packages/orosync.yaml: "orosync: {users: {{class}: user}}", or customer, or '
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
