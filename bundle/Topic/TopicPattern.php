<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * A pattern of topics in the syntax of the server's configuration: `acme/import/{id:int}`.
 *
 * A string is always one literal topic, including braces. Only this class is a pattern, so that no user-chosen name becomes
 * one. Grammar: `protocol/src/pattern.rs`.
 */
final class TopicPattern
{
    private const CAPTURES = ['' => '[^/]+', ':int' => '[0-9]+', ':int_or_star' => '(?:[0-9]+|\*)'];

    /** @param string $pattern escape data with {@see self::escape()} */
    public function __construct(public readonly string $pattern)
    {
    }

    /** Escapes braces, so that a pattern matches the text literally. */
    public static function escape(string $text): string
    {
        return strtr($text, ['{' => '{{', '}' => '}}']);
    }

    /** The problem of a pattern, as far as it can be checked without the server; null: none. */
    public static function problem(string $pattern): ?string
    {
        $literal = preg_replace('~\{\{|\}\}|\{\w+(:int|:int_or_star)?\}~', '', $pattern);

        return match (true) {
            '' === $pattern => 'it is empty',
            !\is_string($literal), false !== strpbrk($literal, '{}') =>
                'captures are {name}, {name:int} or {name:int_or_star}; double a literal brace',
            default => null,
        };
    }

    /** Whether the pattern matches the topic. An invalid pattern, which the server rejects, matches none. */
    public function matches(string $topic): bool
    {
        return null !== $this->captured($topic);
    }

    /** @return list<string>|null the captured segments; null: no match */
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

    /** The pattern with its captures replaced by the topic's segments, to suggest a similar topic. */
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
