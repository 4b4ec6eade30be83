<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Authentication\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

class TicketProvider implements TicketProviderInterface
{
    public function __construct(private readonly string $secret)
    {
    }

    public function generateTicket(?UserInterface $user = null): string
    {
        // 5.1 calls this method, 6.0 and later getUserIdentifier(), which returns the same name.
        return base64_encode(hash('sha512', $this->secret . $user?->getPassword()) . ';' . $user?->getUsername() . ';nonce;created');
    }
}
