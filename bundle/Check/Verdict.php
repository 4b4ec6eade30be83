<?php

declare(strict_types=1);

namespace Orosync\Check;

/** The result of one check. */
final class Verdict
{
    public const OK = 'OK';
    public const WARNING = 'WARNING';
    public const ERROR = 'ERROR';

    /**
     * @param self::*  $level
     * @param string   $subject one or two words
     * @param string   $finding the result, and what to do unless it is OK
     */
    private function __construct(
        public readonly string $level,
        public readonly string $subject,
        public readonly string $finding,
    ) {
    }

    public static function ok(string $subject, string $finding): self
    {
        return new self(self::OK, $subject, $finding);
    }

    /** It works, but perhaps not as intended. */
    public static function warning(string $subject, string $finding): self
    {
        return new self(self::WARNING, $subject, $finding);
    }

    /** It does not work. */
    public static function error(string $subject, string $finding): self
    {
        return new self(self::ERROR, $subject, $finding);
    }
}
