<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Controller;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

final class TicketController extends AbstractController
{
    public function syncTicketAction(Request $request): JsonResponse
    {
        $token = $request->cookies->get('_csrf');
        if (null === $token || $request->headers->get('X-CSRF-Header') !== $token) {
            throw new AccessDeniedHttpException('Invalid CSRF token');
        }

        return new JsonResponse(['ticket' => $this->container->get(TicketProvider::class)->generateTicket($this->getUser())]);
    }

    public static function getSubscribedServices(): array
    {
        return [...parent::getSubscribedServices(), TicketProvider::class];
    }
}
