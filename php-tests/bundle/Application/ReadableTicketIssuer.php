<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Orosync\Ticket\TicketIssuerInterface;

/** Issues unsigned tickets that contain the claims as JSON. */
final class ReadableTicketIssuer implements TicketIssuerInterface
{
    public function issue(array $claims, int $ttl): string
    {
        return json_encode(['claims' => $claims, 'ttl' => $ttl], \JSON_THROW_ON_ERROR);
    }
}
