<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Decorator;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Symfony\Component\Security\Core\User\UserInterface;

final class OwnTicketProvider extends TicketProvider
{
    public int $calls = 0;

    public function __construct(private readonly TicketProvider $inner)
    {
    }

    public function generateTicket(?UserInterface $user = null): string
    {
        ++$this->calls;

        return $this->inner->generateTicket($user);
    }
}
