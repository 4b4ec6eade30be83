<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\ORM\Event\PostFlushEventArgs;
use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;
use Orosync\ContentTag\FlushingManager;

/**
 * Oro's own listener, which collects and sends the tags, extended to record the connection of the flush.
 *
 * Replaces only the class of Oro's service: its arguments, tags and skipped classes stay.
 */
final class OrosyncTagListener extends DoctrineTagEventListener
{
    private CurrentFlush $flush;

    public function setCurrentFlush(CurrentFlush $flush): void
    {
        $this->flush = $flush;
    }

    public function postFlush(?PostFlushEventArgs $event = null): void
    {
        if (null === $event) {
            parent::postFlush();

            return;
        }
        $connection = FlushingManager::of($event)->getConnection();
        $this->flush->during($connection, fn () => parent::postFlush());
    }
}
