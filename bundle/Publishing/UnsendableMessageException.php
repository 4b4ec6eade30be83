<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A message that no server accepts. The exception's message contains the reason. */
final class UnsendableMessageException extends \InvalidArgumentException
{
}
