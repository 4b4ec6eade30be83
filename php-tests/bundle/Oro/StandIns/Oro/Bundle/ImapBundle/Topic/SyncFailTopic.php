<?php

declare(strict_types=1);

namespace Oro\Bundle\ImapBundle\Topic;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Oro\Bundle\SyncBundle\Topic\SecuredTopic;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

class SyncFailTopic extends SecuredTopic
{
    public function onSubscribe(ConnectionInterface $connection, Topic $topic, WampRequest $request)
    {
    }
}
