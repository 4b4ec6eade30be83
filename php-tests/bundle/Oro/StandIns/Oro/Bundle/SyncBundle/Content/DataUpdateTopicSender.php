<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Content;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Oro\Bundle\SyncBundle\Client\WebsocketClientInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;

class DataUpdateTopicSender
{
    private WebsocketClientInterface $client;

    public function __construct(
        WebsocketClientInterface $client,
        private readonly ConnectionChecker $connectionChecker,
        private readonly TokenStorageInterface $tokenStorage,
    ) {
        $this->client = $client;
    }

    public function send(array $tags): bool
    {
        if ([] === $tags || !$this->connectionChecker->checkConnection()) {
            return false;
        }
        // 5.1 calls this method, 6.0 and later getUserIdentifier(), which returns the same name.
        $username = $this->tokenStorage->getToken()?->getUser()?->getUsername();

        return $this->client->publish('oro/data/update', array_map(static fn (string $tag): array => ['username' => $username, 'tagname' => $tag], $tags));
    }
}
