<?php

declare(strict_types=1);

namespace Orosync\Messenger;

/**
 * A message that waits in a durable queue until the server has it.
 *
 * For what must not be lost with the PHP process: `$bus->dispatch(new Publish('acme/orders/7', ['shipped' => 'A-1']))`.
 * Route the class to a transport; handled in a request, it would make that wait for the server.
 */
final class Publish
{
    /**
     * @param mixed        $payload  what the transport's serializer can carry and json_encode() takes
     * @param list<string> $exclude  WAMP session ids that do not get it
     * @param list<string> $eligible WAMP session ids that alone get it; empty: everybody
     */
    public function __construct(
        public readonly string $topic,
        public readonly mixed $payload,
        public readonly array $exclude = [],
        public readonly array $eligible = [],
    ) {
    }
}
