<?php

declare(strict_types=1);

namespace Orosync\Messenger;

/**
 * A message that waits in a durable queue until the server has acknowledged it.
 *
 * For messages that must survive the PHP process: `$bus->dispatch(new Publish('acme/orders/7', ['shipped' => 'A-1']))`. Route
 * the class to a transport: handled within a request, it would make the request wait for the server.
 */
final class Publish
{
    /**
     * @param mixed        $payload  anything that the transport's serializer and json_encode() accept
     * @param list<string> $exclude WAMP session ids that do not receive it
     * @param list<string> $eligible the only WAMP session ids that receive it; empty: all
     */
    public function __construct(
        public readonly string $topic,
        public readonly mixed $payload,
        public readonly array $exclude = [],
        public readonly array $eligible = [],
    ) {
    }
}
