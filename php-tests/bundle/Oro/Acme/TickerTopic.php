<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Gos\Bundle\WebSocketBundle\Topic\TopicPeriodicTimerInterface;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Ratchet\Wamp\Topic;

/** A handler that publishes with a timer in Oro's server. */
final class TickerTopic extends BroadcastTopic implements TopicPeriodicTimerInterface
{
    public function registerPeriodicTimer(Topic $topic): void
    {
    }
}
