<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** An endpoint of the configuration cannot be used; the message names its key, its value and what to write instead. */
final class InvalidEndpointException extends \InvalidArgumentException
{
    /** @param string $problem goes on after the value: what is wrong, and a sentence on what to write */
    public static function of(string $key, string $value, string $problem): self
    {
        return new self(sprintf('%s: "%s" %s', $key, $value, $problem));
    }
}
