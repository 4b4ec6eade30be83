<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * Many topics at once, as the server's configuration writes them: `acme/import/{id:int}`.
 *
 * A string is one topic, braces included. A pattern is this class and nothing else, so that no name that somebody has
 * chosen becomes one. The grammar is that of `protocol/src/pattern.rs`.
 */
final class TopicPattern
{
    private const CAPTURES = ['' => '[^/]+', ':int' => '[0-9]+', ':int_or_star' => '(?:[0-9]+|\*)'];

    /** @param string $pattern what comes from data goes through {@see self::escape()} */
    public function __construct(public readonly string $pattern)
    {
    }

    /** A text that means itself within a pattern, its braces included. */
    public static function escape(string $text): string
    {
        return strtr($text, ['{' => '{{', '}' => '}}']);
    }

    /** What is wrong with a pattern, as far as it can be seen without the server; null: nothing. */
    public static function problem(string $pattern): ?string
    {
        $literal = preg_replace('~\{\{|\}\}|\{\w+(:int|:int_or_star)?\}~', '', $pattern);

        return match (true) {
            '' === $pattern => 'it is empty',
            !\is_string($literal), false !== strpbrk($literal, '{}') =>
                'captures look like {name}, {name:int} or {name:int_or_star}, and a brace of the topic is written twice',
            default => null,
        };
    }

    /** Does it stand for this topic? One that cannot be read, which the server refuses, stands for none. */
    public function matches(string $topic): bool
    {
        return null !== $this->captured($topic);
    }

    /** @return list<string>|null what its captures take from the topic; null: it does not stand for it */
    public function captured(string $topic): ?array
    {
        $expression = '';
        preg_match_all('~\{\{|\}\}|\{(\w+)(:\w+)?\}|[^{}]+|.~s', $this->pattern, $pieces, \PREG_SET_ORDER);
        foreach ($pieces as $piece) {
            $capture = isset($piece[1]) ? '(' . (self::CAPTURES[$piece[2] ?? ''] ?? '(?!)') . ')' : null;
            $expression .= $capture ?? preg_quote(strtr($piece[0], ['{{' => '{', '}}' => '}']), '~');
        }

        return 1 === preg_match('~^' . $expression . '$~Ds', $topic, $taken) ? \array_slice($taken, 1) : null;
    }

    /**
     * The pattern with the topic's own segments in place of its captures: what somebody who publishes to that topic may
     * have meant.
     */
    public function like(string $topic): string
    {
        $given = explode('/', $topic);
        $segments = [];
        foreach (explode('/', $this->pattern) as $index => $segment) {
            $isCapture = 1 === preg_match('~^\{[^{}]+\}$~', $segment);
            $segments[] = $isCapture ? $given[$index] ?? $segment : $segment;
        }

        return implode('/', $segments);
    }
}
