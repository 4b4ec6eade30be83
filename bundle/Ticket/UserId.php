<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** The form of a user id in tickets and topics: an integer, or a string such as a UUID. */
final class UserId
{
    /** The extension's limit. */
    private const MAX_BYTES = 100;

    /**
     * @param mixed $id an integer, a string, or a stringable object such as those of Symfony's Uid component; a string of
     *   digits, as Doctrine returns for a bigint, becomes an integer
     *
     * @return int|string|null null: not usable as a segment of a topic
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
