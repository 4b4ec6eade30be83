<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Client;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProviderInterface;

/** The client that the bundle replaces. Every call throws. */
class WebsocketClient implements WebsocketClientInterface
{
    private ?object $wampClient = null;

    public function __construct(private readonly TicketProviderInterface $ticketProvider)
    {
    }

    public function connect(): ?string
    {
        throw new \LogicException('The old client dials.');
    }

    public function disconnect(): bool
    {
        throw new \LogicException('The old client dials.');
    }

    public function isConnected(): bool
    {
        throw new \LogicException('The old client dials.');
    }

    public function publish(string $topicUri, $payload, array $exclude = [], array $eligible = []): bool
    {
        throw new \LogicException('The old client dials.');
    }

    public function prefix(string $prefix, string $uri): bool
    {
        throw new \LogicException('The old client dials.');
    }

    public function call(string $procUri, array $arguments = []): bool
    {
        throw new \LogicException('The old client dials.');
    }

    public function event(string $topicUri, $payload): bool
    {
        throw new \LogicException('The old client dials.');
    }
}
