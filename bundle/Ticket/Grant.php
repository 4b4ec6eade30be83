<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Topic\TopicPattern;

/** One topic, or one pattern of topics, that a service grants a user. */
final class Grant
{
    /** Where it stands in a ticket: `topics` or `patterns`. */
    public readonly string $claim;

    /** A string, unless the service is wrong. */
    public readonly mixed $text;

    /**
     * @param mixed  $granted what the service has said
     * @param string $by      the class of the service
     */
    public function __construct(mixed $granted, public readonly string $by)
    {
        $isPattern = $granted instanceof TopicPattern;
        $this->claim = $isPattern ? 'patterns' : 'topics';
        $this->text = $isPattern ? $granted->pattern : $granted;
    }

    /** For people: quoted, and cut where it is long. */
    public function shown(): string
    {
        if (!\is_string($this->text)) {
            return get_debug_type($this->text);
        }
        $flags = \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE | \JSON_INVALID_UTF8_SUBSTITUTE;
        $isLong = \strlen($this->text) > 100;

        return json_encode(substr($this->text, 0, 100), $flags) . ($isLong ? '...' : '');
    }
}
