<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Formatter\OutputFormatter;

/** Makes foreign text, such as a server's answer, safe for a terminal: no control or format characters, no styles. */
final class Printable
{
    public static function line(string $text): string
    {
        return self::text(preg_replace('~\s+~', ' ', $text));
    }

    /** Keeps line breaks. */
    public static function text(string $text): string
    {
        return OutputFormatter::escape(preg_replace('~[^\P{C}\n]~u', '?', mb_scrub($text, 'UTF-8')));
    }
}
