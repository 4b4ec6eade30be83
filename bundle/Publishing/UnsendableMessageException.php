<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A message that no server takes, now or later; what is wrong with it. */
final class UnsendableMessageException extends \InvalidArgumentException
{
}
