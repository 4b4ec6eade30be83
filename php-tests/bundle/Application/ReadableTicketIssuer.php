<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Orosync\Ticket\TicketIssuerInterface;

/** A ticket that can be read without a secret: what it was asked for. */
final class ReadableTicketIssuer implements TicketIssuerInterface
{
    public function issue(array $claims, int $ttl): string
    {
        return json_encode(['claims' => $claims, 'ttl' => $ttl], \JSON_THROW_ON_ERROR);
    }
}
