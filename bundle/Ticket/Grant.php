<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Topic\TopicPattern;

/** A topic or a pattern of topics that a service grants a user. */
final class Grant
{
    /** Its claim in a ticket: `topics` or `patterns`. */
    public readonly string $claim;

    /** A string, unless the service returned another type. */
    public readonly mixed $text;

    /**
     * @param mixed $granted the value that the service returned
     * @param string $by      the class of the service
     */
    public function __construct(mixed $granted, public readonly string $by)
    {
        $isPattern = $granted instanceof TopicPattern;
        $this->claim = $isPattern ? 'patterns' : 'topics';
        $this->text = $isPattern ? $granted->pattern : $granted;
    }

    /** For messages: quoted, and truncated if long. */
    public function display(): string
    {
        if (!\is_string($this->text)) {
            return get_debug_type($this->text);
        }
        $flags = \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE | \JSON_INVALID_UTF8_SUBSTITUTE;
        $isLong = \strlen($this->text) > 100;

        return json_encode(substr($this->text, 0, 100), $flags) . ($isLong ? '...' : '');
    }
}
