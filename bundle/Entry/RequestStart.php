<?php

declare(strict_types=1);

namespace Orosync\Entry;

use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpKernel\Event\RequestEvent;

/**
 * The time at which a page or a ticket was requested. The content of the page was read later.
 *
 * A page's age is the difference of the two, by one clock. It is never too small: the page's time is rounded down, the ticket's
 * up.
 *
 * Source: REQUEST_TIME_FLOAT of the main request; in some runtimes that of the process is the start of the worker. If it is not
 * a number or is in the future, the time at which the kernel received the request. For a page rendered by a command, the start
 * of the process.
 */
final class RequestStart
{
    /** Start of the latest main request, in seconds since 1970. */
    private ?float $arrival = null;

    public function __construct(private readonly RequestStack $requests)
    {
    }

    public function onRequest(RequestEvent $event): void
    {
        if ($event->isMainRequest()) {
            $this->arrival = microtime(true);
        }
    }

    /** @return float whole milliseconds since 1970, rounded down */
    public function ofPage(): float
    {
        return floor(1000 * $this->seconds());
    }

    /** @return float whole milliseconds since 1970, rounded up */
    public function ofTicket(): float
    {
        return ceil(1000 * $this->seconds());
    }

    private function seconds(): float
    {
        $now = microtime(true);
        $request = $this->requests->getMainRequest();
        $stated = null === $request ? $_SERVER['REQUEST_TIME_FLOAT'] ?? null : $request->server->get('REQUEST_TIME_FLOAT');

        return is_numeric($stated) && $stated > 0 && $stated <= $now ? (float) $stated : $this->arrival ?? $now;
    }
}
