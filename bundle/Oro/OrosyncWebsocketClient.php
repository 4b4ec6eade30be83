<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Client\WebsocketClient;
use Oro\Bundle\SyncBundle\Exception\ValidationFailedException;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Psr\Log\LoggerInterface;

/**
 * Oro's websocket client on the backend link: code that publishes through Oro's services publishes through the extension.
 *
 * It neither connects nor waits. An accepted message is kept until the server acknowledges it, so "connected" means that
 * messages are accepted. Extends Oro's class for code that type-hints it.
 */
final class OrosyncWebsocketClient extends WebsocketClient
{
    /**
     * Returned by connect() as the session id. A publisher has no WAMP session. Session ids are hexadecimal, so excluding this
     * one excludes nobody.
     */
    private const SESSION = 'orosync-publisher';

    /** @param \Closure(): PublisherInterface $publisher */
    public function __construct(
        private readonly \Closure $publisher,
        private readonly LoggerInterface $logger,
        private readonly Guard $guard,
    ) {
    }

    public function connect(): ?string
    {
        return $this->isConnected() ? self::SESSION : null;
    }

    /** Does nothing: the connection belongs to the process and is kept for the next message. */
    public function disconnect(): bool
    {
        return true;
    }

    public function isConnected(): bool
    {
        return $this->guard->run(
            'Nothing is published',
            fn (): bool => ($this->publisher)()->status()->accepts(),
            false,
        );
    }

    /**
     * @return bool false: the queue is full, or publishing is not possible; the reason is logged
     *
     * @throws ValidationFailedException the payload cannot be encoded as JSON
     */
    public function publish(string $topicUri, $payload, array $exclude = [], array $eligible = []): bool
    {
        if (false === json_encode($payload)) {
            throw new ValidationFailedException(json_last_error_msg());
        }

        return $this->guard->run(
            'A message is not published',
            fn (): bool => ($this->publisher)()->publish($topicUri, $payload, self::sessions($exclude), self::sessions($eligible)),
            false,
        );
    }

    /** Does nothing: topics are published by their full names. */
    public function prefix(string $prefix, string $uri): bool
    {
        return true;
    }

    public function call(string $procUri, array $arguments = []): bool
    {
        $this->logger->warning(
            'The call of {procedure} is ignored: the server runs no PHP code. Publish a message, or call the code in PHP.',
            ['procedure' => $procUri],
        );

        return false;
    }

    /** Publishes a message. Oro's server closed the connection after such a frame. */
    public function event(string $topicUri, $payload): bool
    {
        return $this->publish($topicUri, $payload);
    }

    /**
     * @param array<mixed> $ids session ids. Values other than strings match no session, but are kept: an empty list of eligible
     *   sessions means everybody
     *
     * @return list<string>
     */
    private static function sessions(array $ids): array
    {
        return array_map(
            static fn (mixed $id): string => \is_scalar($id) ? (string) $id : self::SESSION,
            array_values($ids),
        );
    }
}
