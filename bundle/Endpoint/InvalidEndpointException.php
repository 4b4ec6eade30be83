<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** An endpoint of the configuration cannot be used; the message names its key, its value and what to write instead. */
final class InvalidEndpointException extends \InvalidArgumentException
{
}
