<?php

declare(strict_types=1);

namespace Orosync\Entry;

use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpKernel\Event\RequestEvent;

/**
 * When a page or a ticket was asked for. What a page shows was read after that.
 *
 * A page's age is the difference of the two, so both are of one clock; rounded down and up, it is never too small.
 *
 * It is the start of the main request, as its server variables have it: those of the process are the start of a worker in some
 * runtimes. A request without one (REQUEST_TIME_FLOAT is not a number, or lies ahead) began when the kernel got it, and a page
 * that no request has asked for, of a command, when the process began.
 */
final class RequestStart
{
    /** Of the latest main request, in seconds. */
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
