<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Decorator;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;

final class OwnTagSender extends DataUpdateTopicSender
{
    public int $calls = 0;

    public function __construct(private readonly DataUpdateTopicSender $inner)
    {
    }

    public function send(array $tags): bool
    {
        ++$this->calls;

        return $this->inner->send($tags);
    }
}
