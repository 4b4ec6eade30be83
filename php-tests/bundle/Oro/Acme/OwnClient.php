<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Oro\Bundle\SyncBundle\Client\WebsocketClientInterface;

/** Counts messages, like a third-party decorator of Oro's client. */
final class OwnClient implements WebsocketClientInterface
{
    public int $published = 0;

    public ?\Exception $failure = null;

    public function __construct(private readonly WebsocketClientInterface $inner)
    {
    }

    public function connect(): ?string
    {
        return $this->inner->connect();
    }

    public function disconnect(): bool
    {
        return $this->inner->disconnect();
    }

    public function isConnected(): bool
    {
        return $this->inner->isConnected();
    }

    public function publish(string $topicUri, $payload, array $exclude = [], array $eligible = []): bool
    {
        ++$this->published;
        null === $this->failure || throw $this->failure;

        return $this->inner->publish($topicUri, $payload, $exclude, $eligible);
    }

    public function prefix(string $prefix, string $uri): bool
    {
        return $this->inner->prefix($prefix, $uri);
    }

    public function call(string $procUri, array $arguments = []): bool
    {
        return $this->inner->call($procUri, $arguments);
    }

    public function event(string $topicUri, $payload): bool
    {
        return $this->inner->event($topicUri, $payload);
    }
}
