<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/**
 * How a ticket names the hosts whose pages may use it: `crm.example.com`, `*.example.com`, `same host` (the one that is
 * connected to) or `*`. The extension and the server decide; this tells beforehand, so that one wrong name costs no page
 * its ticket.
 */
final class OriginPattern
{
    /** As many as the extension takes. */
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
