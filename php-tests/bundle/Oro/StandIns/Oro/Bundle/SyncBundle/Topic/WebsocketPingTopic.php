<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Topic;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Gos\Bundle\WebSocketBundle\Topic\TopicPeriodicTimerInterface;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

class WebsocketPingTopic extends AbstractTopic implements TopicPeriodicTimerInterface
{
    public function onPublish(ConnectionInterface $connection, Topic $topic, WampRequest $request, $event, array $exclude, array $eligible)
    {
    }

    public function registerPeriodicTimer(Topic $topic): void
    {
    }
}
