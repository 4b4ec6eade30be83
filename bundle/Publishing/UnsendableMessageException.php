<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/** A message that no server accepts. The exception's message says what is wrong with it. */
final class UnsendableMessageException extends \InvalidArgumentException
{
}
