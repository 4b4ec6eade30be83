<?php

declare(strict_types=1);

namespace Orosync\Messenger;

/** The server does not have the message yet: the transport keeps it and tries again, as its retry strategy says. */
final class NotPublishedException extends \RuntimeException
{
}
