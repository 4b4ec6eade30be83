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
 * Gives {@see UserClaims} the role of each class of users: those of `orosync.users`, else `user` for the one class that the
 * application's user providers give. Two classes without a word on them are refused: their ids may be the same.
 *
 * Does nothing where another service says who somebody is: in an Oro application, or one with claims of its own.
 */
final class UserRolesPass implements CompilerPassInterface
{
    /** How the security bundle calls the providers of its configuration. */
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
                    'orosync.users: "%s" is no class of users. Name a class that exists and implements %s.',
                    $name,
                    UserInterface::class,
                ));
            }
            $other = 'anonymous' === $role ? false : array_search($role, $roles, true);
            if (false !== $other) {
                throw new InvalidConfigurationException(sprintf(
                    'orosync.users: "%s" and "%s" are both "%s", so that two users of the same id would be one to the server. '
                    . 'Give each role to one class, and "anonymous" to those who need no identity. A service in the place '
                    . 'of %s may tell users apart in another way.',
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

    /** @return list<class-string> as far as the providers tell */
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
                // A service or a parameter is missing, which is for the container to say.
            }
        }

        return array_values(array_unique(array_filter($classes)));
    }

    /**
     * What may be the class that a provider gives: those of its arguments, as Doctrine's has it, and what its code declares to
     * return. A chain has none of its own, for its members are providers themselves.
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
            // One that lists nobody is what a new application has.
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

    /** @return class-string|null null: it is none */
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
            'Users of several classes may have the same id, and only the role tells them apart for the server of live '
            . "notifications. Say which role each class has, in config/packages/orosync.yaml, for example:\n\n"
            . "orosync:\n    users:\n%s\n\"user\" is a user of the back office, \"customer\" one of the storefront, "
            . '"anonymous" nobody in particular.',
            $lines,
        ));
    }
}
