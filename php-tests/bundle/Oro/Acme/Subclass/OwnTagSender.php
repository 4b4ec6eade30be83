<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Subclass;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;

final class OwnTagSender extends DataUpdateTopicSender
{
    public function send(array $tags): bool
    {
        return parent::send([...$tags, 'sent by Acme']);
    }
}
