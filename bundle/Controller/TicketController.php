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
 * Gives a page the ticket with which its browser connects, one for each attempt that is not made with a resume ticket.
 *
 * The page may name the topics that it wants, `{"topics": ["acme/order/7"]}`, so that voters can decide about them. Bounds:
 * MAX_TOPICS of them, in MAX_BYTES. Where it matters which ones it names, the answer says so (`"dependsOnTopics": true`).
 * The answer's time (`"now"`, milliseconds since 1970) is the start of this request by the clock that stamps pages, so their
 * difference is a page's age when its browser asked, however long the ticket took.
 *
 * There is no CSRF check, for there is nothing to forge: the request changes nothing, and another site that has a
 * browser send it cannot read the answer, as no CORS header allows that. Oro's JavaScript sends no token in every
 * version, so requiring one would only lock its pages out.
 */
final class TicketController
{
    /** As many as a session may subscribe to by default. */
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
        $answer = $this->guard->run('No ticket for a browser', function () use ($request): array {
            $tickets = ($this->tickets)();
            if (!$tickets->dependOnTopics()) {
                return ['ticket' => $tickets->forCurrentUser()];
            }
            $topics = self::topics(self::body($request));

            return null === $topics
                ? ['error' => sprintf('The body is {"topics": [...]} with at most %d topics, in %d bytes, or empty.', self::MAX_TOPICS, self::MAX_BYTES)]
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
        $answer ??= ['error' => 'Live notifications are not available; the log of the application says why.'];

        return new JsonResponse($answer, $status, ['Cache-Control' => 'no-store']);
    }

    /** Not more of it than is needed to see that it is too large. */
    private static function body(Request $request): string
    {
        return (string) stream_get_contents($request->getContent(true), self::MAX_BYTES + 1);
    }

    /** @return list<string>|null null: that is no list of topics, or a longer one */
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
