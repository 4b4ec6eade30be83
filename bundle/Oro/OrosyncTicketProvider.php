<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Orosync\Ticket\BrowserTickets;
use Symfony\Component\HttpKernel\Exception\ServiceUnavailableHttpException;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Mints the tickets that Oro's own controller hands out: route, CSRF check and session are Oro's.
 *
 * Oro's tickets are keyed with the password hash that the database has, ours with the secret that the server has. So a
 * new password is no reason for a ticket to be refused. Extends Oro's class because that is an autowiring alias.
 */
final class OrosyncTicketProvider extends TicketProvider
{
    /** @param \Closure(): BrowserTickets $tickets */
    public function __construct(private readonly \Closure $tickets)
    {
    }

    /** @throws ServiceUnavailableHttpException none can be minted here; a page asks again */
    public function generateTicket(?UserInterface $user = null): string
    {
        try {
            return ($this->tickets)()->forUser($user);
        } catch (\Throwable $e) {
            throw new ServiceUnavailableHttpException(null, 'No ticket for a browser: ' . $e->getMessage(), $e);
        }
    }
}
