<?php

declare(strict_types=1);

namespace Orosync\Controller;

use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketOriginsInterface;
use Orosync\Ticket\TicketUnavailableException;
use Orosync\Ticket\TopicGrants;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
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
    public function __construct(
        private readonly TicketIssuerInterface $tickets,
        private readonly UserClaimsInterface $user,
        private readonly TopicGrants $grants,
        private readonly TicketOriginsInterface $origins,
        private readonly LoggerInterface $logger,
        private readonly int $ttl,
    ) {
    }

    public function __invoke(): JsonResponse
    {
        try {
            $claims = $this->user->claims() + $this->grants->claimForCurrentUser() + $this->origins->claim();
            $answer = ['ticket' => $this->tickets->issue($claims, $this->ttl)];
            $status = Response::HTTP_OK;
        } catch (TicketUnavailableException $e) {
            $this->logger->error(
                'No ticket for a browser: {reason}',
                ['reason' => $e->getMessage(), 'exception' => $e],
            );
            $answer = ['error' => 'Live notifications are not available; the log of the application says why.'];
            $status = Response::HTTP_SERVICE_UNAVAILABLE;
        }

        return new JsonResponse($answer, $status, ['Cache-Control' => 'no-store']);
    }
}
