<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * Hands messages to the server, for all browsers that are subscribed to their topic.
 *
 * No method throws for a server that is away, a full queue, a missing extension or wrong settings: a page never fails
 * for a missed notification. All of that is logged. What a payload's own jsonSerialize() throws passes through.
 */
interface PublisherInterface
{
    /**
     * Accept a message. Never waits for the network.
     *
     * @param string       $topic    for example `oro/data/update`
     * @param mixed        $payload  anything that json_encode() takes
     * @param list<string> $exclude  WAMP session ids that do not get it
     * @param list<string> $eligible WAMP session ids that alone get it; empty: everybody
     *
     * @return bool whether it was accepted
     */
    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool;

    /**
     * Wait until the server has acknowledged all that was accepted.
     *
     * @param float $timeout seconds
     *
     * @return bool false when it has not, within that time
     */
    public function flush(float $timeout = 1.0): bool;

    /** What is accepted, on its way and arrived. No I/O. */
    public function status(): PublisherStatus;
}
