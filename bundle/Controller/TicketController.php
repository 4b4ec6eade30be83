<?php

declare(strict_types=1);

namespace Orosync\Controller;

use Orosync\Entry\Guard;
use Orosync\Ticket\BrowserTickets;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Response;

/**
 * Gives a page the ticket with which its browser connects, one for each attempt.
 *
 * There is no CSRF check, for there is nothing to forge: the request changes nothing, and another site that has a
 * browser send it cannot read the answer, as no CORS header allows that. Oro's JavaScript sends no token in every
 * version, so requiring one would only lock its pages out.
 */
final class TicketController
{
    /** @param \Closure(): BrowserTickets $tickets */
    public function __construct(
        private readonly \Closure $tickets,
        private readonly Guard $guard,
    ) {
    }

    public function __invoke(): JsonResponse
    {
        $ticket = $this->guard->run('No ticket for a browser', fn (): string => ($this->tickets)()->forCurrentUser());
        $answer = null === $ticket
            ? ['error' => 'Live notifications are not available; the log of the application says why.']
            : ['ticket' => $ticket];
        $status = null === $ticket ? Response::HTTP_SERVICE_UNAVAILABLE : Response::HTTP_OK;

        return new JsonResponse($answer, $status, ['Cache-Control' => 'no-store']);
    }
}
