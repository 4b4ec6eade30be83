<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

/** A handler that decides about subscriptions in PHP and changes messages. */
final class ChatTopic extends BroadcastTopic
{
    public function onSubscribe(ConnectionInterface $connection, Topic $topic, WampRequest $request)
    {
    }

    public function onUnSubscribe(ConnectionInterface $connection, Topic $topic, WampRequest $request)
    {
    }

    public function onPublish(ConnectionInterface $connection, Topic $topic, WampRequest $request, $event, array $exclude, array $eligible)
    {
    }
}
