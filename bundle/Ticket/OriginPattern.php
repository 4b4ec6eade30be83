<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/**
 * Checks the allowed origins of a ticket: `crm.example.com`, `*.example.com`, `same host` (the host of the connection) or `*`.
 * The extension and the server decide; this check comes first, so that one invalid name does not make a ticket fail.
 */
final class OriginPattern
{
    /** The extension's limit. */
    public const MAX_IN_TICKET = 16;

    private const MAX_BYTES = 253;
    private const NAME = '/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/iD';

    public static function accepts(string $text): bool
    {
        $host = str_starts_with($text, '*.') ? substr($text, 2) : $text;

        return \strlen($host) <= self::MAX_BYTES
            && (\in_array($text, ['*', 'same host'], true) || 1 === preg_match(self::NAME, $text) || self::isIpv6($text));
    }

    private static function isIpv6(string $text): bool
    {
        return 1 === preg_match('/^\[(.+)\]$/D', $text, $parts)
            && false !== filter_var($parts[1], \FILTER_VALIDATE_IP, \FILTER_FLAG_IPV6);
    }
}
