<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;

/** A handler with a missing dependency. */
final class BrokenTopic extends BroadcastTopic
{
    public function __construct()
    {
        throw new \RuntimeException('the event loop is missing');
    }
}
