<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Event\OnFlushEventArgs;
use Doctrine\ORM\Event\PostFlushEventArgs;

/** The entity manager of a flush event. ORM before 2.13, used by OroPlatform 5.0, has another method name. */
final class FlushingManager
{
    public static function of(OnFlushEventArgs|PostFlushEventArgs $event): EntityManagerInterface
    {
        return method_exists($event, 'getObjectManager') ? $event->getObjectManager() : $event->getEntityManager();
    }
}
