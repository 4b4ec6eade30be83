<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** There is no secret to sign with. The message names the key to set. */
final class MissingSecretException extends \LogicException
{
}
