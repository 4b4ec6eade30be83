<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** Limits a ticket to pages of certain hosts. The server checks the `Origin` of the handshake. */
interface TicketOriginsInterface
{
    /**
     * @return array{origins?: list<string>} claims of a ticket, {@see OriginPattern}; empty: any host
     */
    public function claim(): array;
}
