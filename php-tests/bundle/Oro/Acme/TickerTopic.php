<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Gos\Bundle\WebSocketBundle\Topic\TopicPeriodicTimerInterface;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Ratchet\Wamp\Topic;

/** Publishes by a timer within the server. */
final class TickerTopic extends BroadcastTopic implements TopicPeriodicTimerInterface
{
    public function registerPeriodicTimer(Topic $topic): void
    {
    }
}
