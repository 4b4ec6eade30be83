<?php

declare(strict_types=1);

namespace Orosync\Check;

/** What was found of one thing that live notifications need. */
final class Verdict
{
    public const OK = 'OK';
    public const WARNING = 'WARNING';
    public const ERROR = 'ERROR';

    /**
     * @param self::*  $level
     * @param string   $subject a word or two
     * @param string   $finding what is so, and where it is not OK what to do
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

    /** It works, but perhaps not as it is meant. */
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
