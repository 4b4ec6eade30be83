<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Orosync\Ticket\RolesClaim;
use Orosync\Topic\Topic;
use Orosync\Topic\TopicPattern;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/**
 * Appends the topics that services declare by attribute to those of the configuration, and rejects invalid ones.
 *
 * A role becomes the server's policy `role:ROLE_SALES`, a voter `granted`. The services that issue tickets receive the roles
 * and voters.
 */
final class TopicsPass implements CompilerPassInterface
{
    private const ROLE = '/^ROLE_[A-Za-z0-9_.-]+$/D';

    public function process(ContainerBuilder $container): void
    {
        $declared = $container->getDefinition('orosync.declared_topics');
        $rules = [];
        $roles = [];
        $inOrder = [];
        foreach (self::topics($container, $declared->getArgument('$topics')) as $topic) {
            $named = self::roles((string) $topic['subscribe']);
            $problem = self::problem($topic, $named) ?? match (true) {
                [] !== $named, null !== $topic['voter'] => self::missing($topic, $container),
                default => null,
            };
            if (null !== $problem) {
                throw new InvalidConfigurationException(sprintf('%s: the topic "%s": %s.', $topic['origin'], $topic['pattern'], $problem));
            }
            $other = $rules[$topic['pattern']] ?? null;
            if (null !== $other) {
                throw new InvalidConfigurationException(sprintf(
                    'The topic "%s" is declared twice, by %s and by %s. Only the first would apply: remove one.',
                    $topic['pattern'],
                    $other['origin'],
                    $topic['origin'],
                ));
            }
            $roles = array_values(array_unique([...$roles, ...$named]));
            $inOrder[] = ['pattern' => $topic['pattern'], 'voter' => $topic['voter'], 'class' => $topic['class']];
            $rules[$topic['pattern']] = [
                'pattern' => $topic['pattern'],
                'subscribe' => match (true) {
                    [] !== $named => 'role:' . implode(',', $named),
                    null !== $topic['voter'] => 'granted',
                    default => $topic['subscribe'],
                },
                'publish' => $topic['publish'],
                'origin' => $topic['origin'],
            ];
        }
        if (\count($roles) > RolesClaim::MAX_IN_TICKET) {
            throw new InvalidConfigurationException(sprintf(
                'The topics of this application name %d roles; a ticket holds at most %d. Replace some of them by a new role that '
                . 'includes them in security.role_hierarchy: %s.',
                \count($roles),
                RolesClaim::MAX_IN_TICKET,
                implode(', ', $roles),
            ));
        }
        $declared->setArgument('$topics', array_values($rules));
        $container->getDefinition('orosync.roles_claim')->setArgument('$named', $roles);
        $container->getDefinition('orosync.voted_topics')->setArgument('$topics', $inOrder);
    }

    /**
     * @param list<array<string, string|null>> $configured
     *
     * @return list<array{pattern: string, subscribe: string|null, publish: string, voter: string|null, class: string|null, origin: string}>
     */
    private static function topics(ContainerBuilder $container, array $configured): array
    {
        $topics = $configured;
        foreach ($container->findTaggedServiceIds('orosync.topic') as $id => $tags) {
            foreach ($tags as $topic) {
                $topic += ['pattern' => '', 'subscribe' => null, 'publish' => 'publisher', 'voter' => null, 'class' => null, 'origin' => $id];
                // Several services may have the same class.
                if (!\in_array($topic, $topics, true)) {
                    $topics[] = $topic;
                }
            }
        }

        return $topics;
    }

    /** @return list<string> the roles of the value; empty: a policy word, or invalid */
    private static function roles(string $subscribe): array
    {
        $names = array_map(trim(...), explode(',', $subscribe));
        $isRole = static fn (string $name): bool => 1 === preg_match(self::ROLE, $name) && \strlen($name) <= RolesClaim::MAX_BYTES;

        return array_filter($names, $isRole) === $names ? $names : [];
    }

    /**
     * The problem of a declaration itself; null: none.
     *
     * @param array{pattern: string, subscribe: string|null, publish: string, voter: string|null, class: string|null} $topic
     * @param list<string>                                                                                            $roles
     */
    private static function problem(array $topic, array $roles): ?string
    {
        return TopicPattern::problem($topic['pattern']) ?? match (true) {
            null === $topic['subscribe'] && null === $topic['voter'] => 'neither subscribe nor voter is set. Set subscribe, or voter and class',
            null !== $topic['subscribe'] && null !== $topic['voter'] => 'subscribe and voter are both set. Remove one',
            (null === $topic['voter']) !== (null === $topic['class']) => 'voter and class must be set together',
            null !== $topic['voter'] && 1 !== preg_match_all('~\{\w+(:\w+)?\}~', strtr($topic['pattern'], ['{{' => '', '}}' => ''])) =>
                'a voter needs one capture, the id of the object, such as acme/order/{order}',
            null !== $topic['class'] && !class_exists($topic['class']) => sprintf('the class "%s" does not exist', $topic['class']),
            null !== $topic['subscribe'] && [] === $roles && !\in_array($topic['subscribe'], Topic::SUBSCRIBE, true) =>
                self::noWord('subscribe', $topic['subscribe'], [...Topic::SUBSCRIBE, sprintf('a role such as ROLE_SALES (of at most %d bytes)', RolesClaim::MAX_BYTES)]),
            !\in_array($topic['publish'], Topic::PUBLISH, true) => self::noWord('publish', $topic['publish'], Topic::PUBLISH),
            'owner' === $topic['subscribe'] && 1 !== preg_match('~\{(uid|user_id)(:int)?\}~', $topic['pattern']) =>
                'owner is the user whose id is in the topic. Add {uid:int}, or {uid} for ids such as UUIDs',
            default => null,
        };
    }

    /**
     * What the application lacks for a topic; null: nothing.
     *
     * @param array{voter: string|null} $topic
     */
    private static function missing(array $topic, ContainerBuilder $container): ?string
    {
        return match (true) {
            !$container->has('security.access.decision_manager') => 'it needs the security bundle, which is not installed',
            null === $topic['voter'] => null,
            !$container->has('doctrine') => 'a voter needs Doctrine to load the object, which is not installed',
            $container->has('orosync.oro.topics') =>
                'voters are not supported in an Oro application, whose pages name no topics. Implement TopicGrantInterface',
            default => null,
        };
    }

    /** @param list<string> $words */
    private static function noWord(string $key, string $given, array $words): string
    {
        return sprintf('%s is "%s", not one of %s', $key, $given, implode(', ', $words));
    }
}
