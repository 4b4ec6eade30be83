<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Subclass;

use Doctrine\ORM\Event\OnFlushEventArgs;
use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;

final class OwnTagListener extends DoctrineTagEventListener
{
    public int $calls = 0;

    public function onFlush(OnFlushEventArgs $event): void
    {
        ++$this->calls;
        parent::onFlush($event);
    }
}
