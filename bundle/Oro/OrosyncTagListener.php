<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Doctrine\ORM\Event\PostFlushEventArgs;
use Oro\Bundle\SyncBundle\EventListener\DoctrineTagEventListener;
use Orosync\ContentTag\FlushingManager;

/**
 * Oro's own listener, which collects the tags and has them sent; it only says, too, whose flush that was.
 *
 * Takes the place of the class alone: arguments, tags and skipped classes of Oro's service stay as they are.
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
