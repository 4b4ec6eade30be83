<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** No ticket can be issued. The message says why and what to do; it is for the log, not for a browser. */
final class TicketUnavailableException extends \RuntimeException
{
}
