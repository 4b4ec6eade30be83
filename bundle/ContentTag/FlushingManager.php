<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Event\OnFlushEventArgs;
use Doctrine\ORM\Event\PostFlushEventArgs;

/** The entity manager that a flush's event is about. ORM before 2.13, which OroPlatform 5.0 has, names it otherwise. */
final class FlushingManager
{
    public static function of(OnFlushEventArgs|PostFlushEventArgs $event): EntityManagerInterface
    {
        return method_exists($event, 'getObjectManager') ? $event->getObjectManager() : $event->getEntityManager();
    }
}
