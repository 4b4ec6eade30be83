<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** No ticket can be issued. The message contains the reason and a remedy, for the log, not for a browser. */
final class TicketUnavailableException extends \RuntimeException
{
}
