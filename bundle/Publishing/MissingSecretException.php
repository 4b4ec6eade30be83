<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** Nothing to sign with; the message says which key to set. */
final class MissingSecretException extends \LogicException
{
}
