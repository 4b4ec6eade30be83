<?php

declare(strict_types=1);

namespace Orosync\Messenger;

/** The server has not acknowledged the message: the transport keeps it and retries by its retry strategy. */
final class NotPublishedException extends \RuntimeException
{
}
