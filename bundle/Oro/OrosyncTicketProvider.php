<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketOriginsInterface;
use Orosync\Ticket\TicketUnavailableException;
use Orosync\Ticket\TopicGrants;
use Orosync\Ticket\UserClaimsInterface;
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
    /** @param int $ttl seconds until an unused ticket expires */
    public function __construct(
        private readonly TicketIssuerInterface $tickets,
        private readonly UserClaimsInterface $users,
        private readonly TopicGrants $grants,
        private readonly TicketOriginsInterface $origins,
        private readonly int $ttl,
    ) {
    }

    /** @throws ServiceUnavailableHttpException none can be minted here; a page asks again */
    public function generateTicket(?UserInterface $user = null): string
    {
        $claims = null === $user ? ['role' => 'anonymous'] : $this->users->claimsOf($user) + $this->grants->claimFor($user);
        $claims += $this->origins->claim();
        try {
            return $this->tickets->issue($claims, $this->ttl);
        } catch (TicketUnavailableException $e) {
            throw new ServiceUnavailableHttpException(null, 'No ticket for a browser: ' . $e->getMessage(), $e);
        }
    }
}
