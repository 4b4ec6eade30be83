<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Authentication\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

interface TicketProviderInterface
{
    public function generateTicket(?UserInterface $user = null): string;
}
