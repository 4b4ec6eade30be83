<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme\Decorator;

use Doctrine\ORM\Event\OnFlushEventArgs;
use Doctrine\ORM\Event\PostFlushEventArgs;
use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;

final class OwnTagListener
{
    public int $calls = 0;

    public function __construct(private readonly DoctrineTagEventListener $inner)
    {
    }

    public function onFlush(OnFlushEventArgs $event): void
    {
        ++$this->calls;
        $this->inner->onFlush($event);
    }

    public function postFlush(PostFlushEventArgs $event): void
    {
        $this->inner->postFlush($event);
    }
}
