<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection\Compiler;

use Orosync\Topic\Topic;
use Orosync\Topic\TopicPattern;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Adds what services declare by attribute to the topics of the configuration, which come first; refuses what cannot be meant. */
final class TopicsPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        $declared = $container->getDefinition('orosync.declared_topics');
        $topics = $declared->getArgument('$topics');
        foreach ($container->findTaggedServiceIds('orosync.topic') as $id => $tags) {
            foreach ($tags as $topic) {
                $topic += ['pattern' => '', 'subscribe' => '', 'publish' => 'publisher', 'origin' => $id];
                // Several services may be of one class.
                if (!\in_array($topic, $topics, true)) {
                    $topics[] = $topic;
                }
            }
        }
        $places = [];
        foreach ($topics as $topic) {
            self::check($topic);
            $other = $places[$topic['pattern']] ?? null;
            if (null !== $other) {
                throw new InvalidConfigurationException(sprintf(
                    'The topic "%s" is declared twice, by %s and by %s. The first alone would count: keep one.',
                    $topic['pattern'],
                    $other,
                    $topic['origin'],
                ));
            }
            $places[$topic['pattern']] = $topic['origin'];
        }
        $declared->setArgument('$topics', $topics);
    }

    /** @param array{pattern: string, subscribe: string, publish: string, origin: string} $topic */
    private static function check(array $topic): void
    {
        $problem = TopicPattern::problem($topic['pattern']) ?? match (true) {
            !\in_array($topic['subscribe'], Topic::SUBSCRIBE, true) => self::noWord('subscribe', $topic['subscribe'], Topic::SUBSCRIBE),
            !\in_array($topic['publish'], Topic::PUBLISH, true) => self::noWord('publish', $topic['publish'], Topic::PUBLISH),
            'owner' === $topic['subscribe'] && 1 !== preg_match('~\{(uid|user_id)(:int)?\}~', $topic['pattern']) =>
                'owner is the user whose id is in the topic. Name it {uid:int}',
            default => null,
        };
        if (null !== $problem) {
            throw new InvalidConfigurationException(sprintf('%s: the topic "%s": %s.', $topic['origin'], $topic['pattern'], $problem));
        }
    }

    /** @param list<string> $words */
    private static function noWord(string $key, string $given, array $words): string
    {
        return sprintf('%s is "%s", not one of %s', $key, $given, implode(', ', $words));
    }
}
