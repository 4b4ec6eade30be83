<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Orosync\Ticket\BrowserTickets;
use Symfony\Component\HttpKernel\Exception\ServiceUnavailableHttpException;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Issues the tickets of Oro's own controller. Route, CSRF check and session are Oro's.
 *
 * Oro's tickets are signed with the user's password hash from the database, these with the server's secret, so a password
 * change does not invalidate a ticket. Extends Oro's class because that class is an autowiring alias.
 */
final class OrosyncTicketProvider extends TicketProvider
{
    /** @param \Closure(): BrowserTickets $tickets */
    public function __construct(private readonly \Closure $tickets)
    {
    }

    /** @throws ServiceUnavailableHttpException no ticket can be issued; pages retry */
    public function generateTicket(?UserInterface $user = null): string
    {
        try {
            return ($this->tickets)()->forUser($user);
        } catch (\Throwable $e) {
            throw new ServiceUnavailableHttpException(null, 'No ticket was issued: ' . $e->getMessage(), $e);
        }
    }
}
