<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** Says from which hosts' pages a ticket may be used; the server looks at the `Origin` of the handshake. */
interface TicketOriginsInterface
{
    /**
     * @return array{origins?: list<string>} for the claims of a ticket, {@see OriginPattern}; empty: pages of any host may
     *         use it
     */
    public function claim(): array;
}
