<?php

declare(strict_types=1);

namespace App;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Oro\Bundle\SyncBundle\Topic\AbstractTopic;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

/** A topic handler with PHP code, which cannot be exported as a declaration. */
final class ChatTopic extends AbstractTopic
{
    /**
     * @param mixed $event
     * @param array<string> $exclude
     * @param array<string> $eligible
     */
    public function onPublish(
        ConnectionInterface $connection,
        Topic $topic,
        WampRequest $request,
        $event,
        array $exclude,
        array $eligible
    ): void {
        $topic->broadcast(['said' => $event]);
    }
}
