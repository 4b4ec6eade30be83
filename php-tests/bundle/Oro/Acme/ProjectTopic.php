<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Gos\Bundle\WebSocketBundle\Router\WampRequest;
use Gos\Bundle\WebSocketBundle\Topic\PushableTopicInterface;
use Gos\Bundle\WebSocketBundle\Topic\SecuredTopicInterface;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Ratchet\ConnectionInterface;
use Ratchet\Wamp\Topic;

/** A secured handler of Oro's server that also receives pushed messages. */
final class ProjectTopic extends BroadcastTopic implements SecuredTopicInterface, PushableTopicInterface
{
    public function secure(?ConnectionInterface $conn, Topic $topic, WampRequest $request, $payload = null, ?array $exclude = [], ?array $eligible = null, ?string $provider = null): void
    {
    }

    public function onPush(Topic $topic, WampRequest $request, $data, string $provider): void
    {
    }
}
