<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Client;

use Gos\Component\WebSocketClient\Exception\BadResponseException;
use Gos\Component\WebSocketClient\Exception\WebsocketException;
use Oro\Bundle\SyncBundle\Exception\ValidationFailedException;
use Psr\Log\LoggerAwareInterface;
use Psr\Log\LoggerAwareTrait;

/** Logs these three exceptions and returns false; does not catch others. */
class LoggerAwareWebsocketClientDecorator implements WebsocketClientInterface, LoggerAwareInterface
{
    use LoggerAwareTrait;

    public function __construct(private readonly WebsocketClientInterface $decoratedClient)
    {
    }

    public function connect(): ?string
    {
        return $this->attempt(fn (): ?string => $this->decoratedClient->connect(), null);
    }

    public function disconnect(): bool
    {
        return $this->decoratedClient->disconnect();
    }

    public function isConnected(): bool
    {
        return $this->decoratedClient->isConnected();
    }

    public function publish(string $topicUri, $payload, array $exclude = [], array $eligible = []): bool
    {
        return $this->attempt(fn (): bool => $this->decoratedClient->publish($topicUri, $payload, $exclude, $eligible), false);
    }

    public function prefix(string $prefix, string $uri): bool
    {
        return $this->attempt(fn (): bool => $this->decoratedClient->prefix($prefix, $uri), false);
    }

    public function call(string $procUri, array $arguments = []): bool
    {
        return $this->attempt(fn (): bool => $this->decoratedClient->call($procUri, $arguments), false);
    }

    public function event(string $topicUri, $payload): bool
    {
        return $this->attempt(fn (): bool => $this->decoratedClient->event($topicUri, $payload), false);
    }

    private function attempt(\Closure $what, mixed $otherwise): mixed
    {
        try {
            return $what();
        } catch (BadResponseException | WebsocketException | ValidationFailedException $e) {
            $this->logger->error('Oro\'s decorator: ' . $e->getMessage());

            return $otherwise;
        }
    }
}
