<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Client;

use Psr\Log\LoggerAwareInterface;
use Psr\Log\LoggerAwareTrait;
use Psr\Log\NullLogger;

class ConnectionChecker implements LoggerAwareInterface
{
    use LoggerAwareTrait;

    private WebsocketClientInterface $client;

    public function __construct(WebsocketClientInterface $client)
    {
        $this->client = $client;
        $this->logger = new NullLogger();
    }

    public function checkConnection(): bool
    {
        $this->client->connect();

        return $this->client->isConnected();
    }

    public function isConfigured(): bool
    {
        return true;
    }

    public function reset(): void
    {
    }
}
