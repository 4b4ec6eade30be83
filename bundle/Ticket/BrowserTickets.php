<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

/** Mints the ticket of a browser: who its user is, what he is granted, and which hosts' pages may use it. */
final class BrowserTickets
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

    /** @throws TicketUnavailableException */
    public function forCurrentUser(): string
    {
        return $this->issue($this->users->claims() + $this->grants->claimForCurrentUser());
    }

    /** @throws TicketUnavailableException */
    public function forUser(?UserInterface $user): string
    {
        return $this->issue(
            null === $user ? ['role' => 'anonymous'] : $this->users->claimsOf($user) + $this->grants->claimFor($user),
        );
    }

    /** @param array<string, mixed> $claims */
    private function issue(array $claims): string
    {
        return $this->tickets->issue($claims + $this->origins->claim(), $this->ttl);
    }
}
