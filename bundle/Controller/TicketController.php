<?php

declare(strict_types=1);

namespace Orosync\Controller;

use Orosync\Entry\Guard;
use Orosync\Entry\RequestStart;
use Orosync\Ticket\BrowserTickets;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * The ticket endpoint: issues a browser's ticket, one per connection attempt without a resume ticket.
 *
 * Request: empty, or the topics that voters should decide about, `{"topics": ["acme/order/7"]}`. Bounds: MAX_TOPICS topics,
 * MAX_BYTES bytes. Answer: `ticket`; `"dependsOnTopics": true` if the ticket depends on the topics; `now`, the start of this
 * request in milliseconds since 1970, by the clock that stamps pages. The difference of `now` and a page's stamp is the page's
 * age at the request, however long the answer takes.
 *
 * There is no CSRF check: the request changes nothing, and another site cannot read the answer, because no CORS header allows
 * it. Some versions of Oro's JavaScript send no token, so a check would lock their pages out.
 */
final class TicketController
{
    /** The server's default limit of subscriptions per session. */
    private const MAX_TOPICS = 100;

    private const MAX_BYTES = 65_536;

    /** @param \Closure(): BrowserTickets $tickets */
    public function __construct(
        private readonly \Closure $tickets,
        private readonly RequestStart $start,
        private readonly Guard $guard,
    ) {
    }

    public function __invoke(Request $request): JsonResponse
    {
        $answer = $this->guard->run('No ticket was issued', function () use ($request): array {
            $tickets = ($this->tickets)();
            if (!$tickets->dependOnTopics()) {
                return ['ticket' => $tickets->forCurrentUser()];
            }
            $topics = self::topics(self::body($request));

            return null === $topics
                ? ['error' => sprintf('The body must be empty or {"topics": [...]} with at most %d topics in %d bytes.', self::MAX_TOPICS, self::MAX_BYTES)]
                : ['ticket' => $tickets->forCurrentUser($topics), 'dependsOnTopics' => true];
        });
        $status = match (true) {
            null === $answer => Response::HTTP_SERVICE_UNAVAILABLE,
            isset($answer['error']) => Response::HTTP_BAD_REQUEST,
            default => Response::HTTP_OK,
        };
        if (isset($answer['ticket'])) {
            $answer['now'] = $this->start->ofTicket();
        }
        $answer ??= ['error' => 'Live notifications are not available; the application log contains the reason.'];

        return new JsonResponse($answer, $status, ['Cache-Control' => 'no-store']);
    }

    /** Reads at most one byte beyond the limit. */
    private static function body(Request $request): string
    {
        return (string) stream_get_contents($request->getContent(true), self::MAX_BYTES + 1);
    }

    /** @return list<string>|null null: not a list of topics, or too long */
    private static function topics(string $body): ?array
    {
        if ('' === $body) {
            return [];
        }
        $given = \strlen($body) > self::MAX_BYTES ? null : json_decode($body, true, 4);
        $topics = \is_array($given) ? $given['topics'] ?? [] : null;
        $isList = \is_array($topics) && array_is_list($topics) && array_filter($topics, \is_string(...)) === $topics;

        return $isList && \count($topics) <= self::MAX_TOPICS ? $topics : null;
    }
}
