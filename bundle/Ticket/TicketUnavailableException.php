<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** No ticket can be minted here; the message says why and what to do. For the log, not for a browser. */
final class TicketUnavailableException extends \RuntimeException
{
}
