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
 * Oro's websocket client over the native link: whoever publishes through Oro's services publishes through the extension.
 *
 * There is nothing to connect and nothing to wait for. A message that was accepted is kept until the server has it, so
 * "connected" means here that messages are accepted. Extends Oro's class for those who type-hint it.
 */
final class OrosyncWebsocketClient extends WebsocketClient
{
    /**
     * Stands in for the session id that connect() gives. A publisher has no WAMP session, and no session is called so
     * (they are hexadecimal): as an excluded id it excludes nobody.
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

    /** The connection is the process's and stays for the next message. */
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
     * @return bool false when the queue is full, or when nothing can be published here; the log says why
     *
     * @throws ValidationFailedException the payload cannot be JSON
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

    /** Nothing to do: a topic is published to by its whole name. */
    public function prefix(string $prefix, string $uri): bool
    {
        return true;
    }

    public function call(string $procUri, array $arguments = []): bool
    {
        $this->logger->warning(
            'A call of {procedure} goes nowhere: no PHP code runs in the server. Publish, or call it in PHP.',
            ['procedure' => $procUri],
        );

        return false;
    }

    /** Oro's server answered such a frame with an end of the connection; what was meant is a message. */
    public function event(string $topicUri, $payload): bool
    {
        return $this->publish($topicUri, $payload);
    }

    /**
     * @param array<mixed> $ids session ids; what is no text matches no session, but must not make a list empty: an
     *                          empty list of eligible sessions means everybody
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
