<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Topic;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

class SecuredTopic extends BroadcastTopic
{
    public function onSubscribe(ConnectionInterface $connection, Topic $topic, WampRequest $request)
    {
    }
}
