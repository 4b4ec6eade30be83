<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** The hosts of `orosync.ticket.origins`. */
final class ConfiguredOrigins implements TicketOriginsInterface
{
    /** @param list<string> $hosts */
    public function __construct(private readonly array $hosts)
    {
    }

    public function claim(): array
    {
        return [] === $this->hosts || \in_array('*', $this->hosts, true) ? [] : ['origins' => $this->hosts];
    }
}
