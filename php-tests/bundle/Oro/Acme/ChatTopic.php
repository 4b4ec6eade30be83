<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

/** Decides in PHP who may subscribe, and changes what is published. */
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
