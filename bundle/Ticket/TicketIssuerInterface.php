<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/** Issues the one-time ticket with which a browser connects to the server. */
interface TicketIssuerInterface
{
    /**
     * @param array{sub?: string, uid?: int|string, org?: int, role?: 'user'|'customer'|'anonymous', roles?: list<string>,
     *              topics?: list<string>, patterns?: list<string>, origins?: list<string>, until?: int} $claims
     * @param int $ttl seconds until it expires
     *
     * @throws TicketUnavailableException
     */
    public function issue(array $claims, int $ttl): string;
}
