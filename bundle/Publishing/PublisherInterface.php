<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * Sends messages to the server, which delivers them to all browsers subscribed to their topic.
 *
 * No method throws if the server is unreachable, the queue is full, the extension is missing or settings are invalid: a lost
 * notification must not break a page. These problems are logged. Exceptions of a payload's own jsonSerialize() pass through.
 */
interface PublisherInterface
{
    /**
     * Queues a message. Never waits for the network.
     *
     * @param string       $topic    for example `oro/data/update`
     * @param mixed        $payload  anything that json_encode() accepts
     * @param list<string> $exclude WAMP session ids that do not receive it
     * @param list<string> $eligible the only WAMP session ids that receive it; empty: all
     *
     * @return bool whether it was accepted
     */
    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool;

    /**
     * Waits until the server has acknowledged all accepted messages.
     *
     * @param float $timeout seconds
     *
     * @return bool false: not acknowledged within that time
     */
    public function flush(float $timeout = 1.0): bool;

    /** The publisher's state and counters. No I/O. */
    public function status(): PublisherStatus;
}
