<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * Many topics that a grant names at once, as the server's configuration writes them: `acme/import/{id:int}`.
 *
 * A string is one topic, braces included. A pattern is this class and nothing else, so that no name that somebody has
 * chosen becomes one.
 */
final class TopicPattern
{
    /** @param string $pattern what comes from data goes through {@see self::escape()} */
    public function __construct(public readonly string $pattern)
    {
    }

    /** A text that means itself within a pattern, its braces included. */
    public static function escape(string $text): string
    {
        return strtr($text, ['{' => '{{', '}' => '}}']);
    }
}
