<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\EventListener;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Oro\Bundle\SyncBundle\Client\WebsocketClientInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;

final class MaintenanceListener
{
    public function __construct(
        private readonly WebsocketClientInterface $client,
        private readonly ConnectionChecker $connectionChecker,
        private readonly TokenStorageInterface $tokens,
    ) {
    }

    public function onModeOn(): void
    {
        $this->onMode(true);
    }

    public function onModeOff(): void
    {
        $this->onMode(false);
    }

    private function onMode(bool $isOn): void
    {
        if ($this->connectionChecker->checkConnection()) {
            $this->client->publish('oro/maintenance', ['isOn' => $isOn, 'userId' => $this->tokens->getToken()?->getUser()?->getId()]);
        }
    }
}
