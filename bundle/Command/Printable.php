<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Formatter\OutputFormatter;

/** Texts of others, such as what a server answers, for a terminal: without control and format characters, and without styles. */
final class Printable
{
    public static function line(string $text): string
    {
        return self::text(preg_replace('~\s+~', ' ', $text));
    }

    /** Of several lines, perhaps. */
    public static function text(string $text): string
    {
        return OutputFormatter::escape(preg_replace('~[^\P{C}\n]~u', '?', mb_scrub($text, 'UTF-8')));
    }
}
