<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Orosync\Ticket\UserClaims;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Container\NotFoundExceptionInterface;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\Security\Core\User\InMemoryUser;
use Symfony\Component\Security\Core\User\InMemoryUserProvider;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Passes the role of each user class to {@see UserClaims}: from `orosync.users`, else `user` if the user providers return a
 * single class. Several classes without configuration are rejected, because their ids may overlap.
 *
 * Does nothing if another service provides the claims: in an Oro application, or one with its own service.
 */
final class UserRolesPass implements CompilerPassInterface
{
    /** Prefix of the service ids of the security bundle's user providers. */
    private const PROVIDERS = 'security.user.provider.concrete.';

    public function process(ContainerBuilder $container): void
    {
        $claims = $container->findDefinition(UserClaimsInterface::class);
        if (UserClaims::class !== $claims->getClass()) {
            return;
        }
        $roles = self::checked($claims->getArgument('$roles'), $container);
        $classes = self::provided($container);
        if ([] === $roles && 1 === \count($classes)) {
            $roles = [$classes[0] => 'user'];
        }
        $isNamed = static fn (string $class): bool => [] !== array_filter(
            array_keys($roles),
            static fn (string $named): bool => is_a($class, $named, true),
        );
        $silent = array_filter($classes, static fn (string $class): bool => !$isNamed($class));
        if ([] !== $silent) {
            throw self::unclear($silent, $roles);
        }
        $claims->setArgument('$roles', $roles);
    }

    /**
     * @param array<string, string> $configured
     *
     * @return array<class-string, string>
     */
    private static function checked(array $configured, ContainerBuilder $container): array
    {
        $roles = [];
        foreach ($configured as $name => $role) {
            $class = self::classOfUsers($name, $container);
            if (null === $class) {
                throw new InvalidConfigurationException(sprintf(
                    'orosync.users: "%s" is not a user class. Name an existing class that implements %s.',
                    $name,
                    UserInterface::class,
                ));
            }
            $other = 'anonymous' === $role ? false : array_search($role, $roles, true);
            if (false !== $other) {
                throw new InvalidConfigurationException(sprintf(
                    'orosync.users: "%s" and "%s" are both "%s", so the server could not tell two users with the same id apart. '
                    . 'Give each role to one class, and "anonymous" to classes without an identity. A service that replaces '
                    . '%s may distinguish users in another way.',
                    $other,
                    $class,
                    $role,
                    UserClaimsInterface::class,
                ));
            }
            $roles[$class] = $role;
        }

        return $roles;
    }

    /** @return list<class-string> user classes, as far as the providers declare them */
    private static function provided(ContainerBuilder $container): array
    {
        $classes = [];
        foreach ([...array_keys($container->getDefinitions()), ...array_keys($container->getAliases())] as $id) {
            if (!str_starts_with($id, self::PROVIDERS)) {
                continue;
            }
            try {
                foreach (self::namesIn($container->findDefinition($id), $container) as $name) {
                    $classes[] = self::classOfUsers($name, $container);
                }
            } catch (NotFoundExceptionInterface) {
                // A service or a parameter is missing, which the container reports itself.
            }
        }

        return array_values(array_unique(array_filter($classes)));
    }

    /**
     * Possible user classes of a provider: its string arguments (Doctrine's provider has the class there) and the declared
     * return types of its code. A chain has none of its own: its members are providers themselves.
     *
     * @return list<string>
     */
    private static function namesIn(Definition $provider, ContainerBuilder $container): array
    {
        $arguments = array_values($provider->getArguments());
        while (null === $provider->getClass() && $provider instanceof ChildDefinition) {
            $provider = $container->findDefinition($provider->getParent());
            array_push($arguments, ...array_values($provider->getArguments()));
        }
        [$class, $arguments] = $container->getParameterBag()->resolveValue([$provider->getClass(), $arguments]);

        if (InMemoryUserProvider::class === $class) {
            // A new application has a provider without users.
            return [] === array_filter($arguments) ? [] : [InMemoryUser::class];
        }

        return [...array_filter($arguments, \is_string(...)), ...self::returnedBy($container->getReflectionClass($class, false))];
    }

    /** @return list<string> */
    private static function returnedBy(?\ReflectionClass $provider): array
    {
        $method = 'loadUserByIdentifier';
        $type = true === $provider?->hasMethod($method) ? $provider->getMethod($method)->getReturnType() : null;
        $types = $type instanceof \ReflectionUnionType ? $type->getTypes() : [$type];

        return array_map(
            static fn (?\ReflectionType $type): string => $type instanceof \ReflectionNamedType ? $type->getName() : '',
            $types,
        );
    }

    /** @return class-string|null null: not a user class */
    private static function classOfUsers(string $name, ContainerBuilder $container): ?string
    {
        $class = $container->getReflectionClass($name, false);

        return null !== $class && !$class->isInterface() && is_subclass_of($class->name, UserInterface::class) ? $class->name : null;
    }

    /**
     * @param array<class-string>         $silent
     * @param array<class-string, string> $roles
     */
    private static function unclear(array $silent, array $roles): InvalidConfigurationException
    {
        $lines = '';
        foreach ($roles as $class => $role) {
            $lines .= sprintf("        %s: %s\n", $class, $role);
        }
        $left = array_diff(['user', 'customer'], $roles);
        foreach ($silent as $class) {
            $role = array_shift($left) ?? 'anonymous';
            $others = array_diff(['user', 'customer', 'anonymous'], [$role]);
            $lines .= sprintf("        %s: %s # or %s\n", $class, $role, implode(', ', $others));
        }

        return new InvalidConfigurationException(sprintf(
            'Users of several classes may have the same id; the server distinguishes them only by their '
            . "role. Set the role of each class in config/packages/orosync.yaml, for example:\n\n"
            . "orosync:\n    users:\n%s\n\"user\" is a user of the back office, \"customer\" one of the storefront, "
            . '"anonymous" a user without an identity.',
            $lines,
        ));
    }
}
