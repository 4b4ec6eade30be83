<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** How the id of a user stands in tickets and in topics: an integer, or a text such as a UUID. */
final class UserId
{
    /** As many as the extension takes. */
    private const MAX_BYTES = 100;

    /**
     * @param mixed $id an integer, a string, or an object that is one, such as those of Symfony's Uid component; a string of
     *                  digits, as Doctrine gives a bigint, is that integer
     *
     * @return int|string|null null: none that could be a segment of a topic
     */
    public static function of(mixed $id): int|string|null
    {
        if (\is_int($id)) {
            return $id < 0 ? null : $id;
        }
        $text = \is_string($id) || $id instanceof \Stringable ? (string) $id : '';
        if (ctype_digit($text) && (string) (int) $text === $text) {
            return (int) $text;
        }

        return \strlen($text) <= self::MAX_BYTES && 1 === preg_match('~^[^/*\p{Cc}]+$~Du', $text) ? $text : null;
    }
}
