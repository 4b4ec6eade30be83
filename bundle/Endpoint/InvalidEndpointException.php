<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** An endpoint of the configuration is invalid. The message contains its key, its value and what to write instead. */
final class InvalidEndpointException extends \InvalidArgumentException
{
    /** @param string $problem the rest of the sentence after the value: the problem and a remedy */
    public static function of(string $key, string $value, string $problem): self
    {
        return new self(sprintf('%s: "%s" %s', $key, $value, $problem));
    }
}
