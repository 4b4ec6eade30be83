<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\EventListener;

use Doctrine\ORM\Event\OnFlushEventArgs;
use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;
use Oro\Bundle\SyncBundle\Content\TagGeneratorInterface;
use Psr\Container\ContainerInterface;

class DoctrineTagEventListener
{
    /** @var list<string> */
    private array $collectedTags = [];

    /** @var array<string, true> */
    private array $skipTrackingFor = [];

    public function __construct(private readonly ContainerInterface $container)
    {
    }

    public function onFlush(OnFlushEventArgs $event): void
    {
        // 5.0 and 5.1 call getEntityManager(), the only method in the ORM 2.10 of 5.0; later versions call getObjectManager().
        $unit = (method_exists($event, 'getObjectManager') ? $event->getObjectManager() : $event->getEntityManager())->getUnitOfWork();
        foreach ([...$unit->getScheduledEntityInsertions(), ...$unit->getScheduledEntityDeletions()] as $entity) {
            $this->addEntityTags($entity, true);
        }
        foreach ($unit->getScheduledEntityUpdates() as $entity) {
            $this->addEntityTags($entity, false);
        }
    }

    public function postFlush(): void
    {
        // As in Oro, the keys have gaps.
        $tags = array_unique($this->collectedTags);
        $this->collectedTags = [];
        if ([] !== $tags) {
            $this->container->get(DataUpdateTopicSender::class)->send($tags);
        }
    }

    public function markSkipped(string $className): void
    {
        if (!class_exists($className)) {
            throw new \InvalidArgumentException(sprintf('The class "%s" does not exist.', $className));
        }
        $this->skipTrackingFor[$className] = true;
    }

    private function addEntityTags(object $entity, bool $includeCollectionTag): void
    {
        if (!isset($this->skipTrackingFor[$entity::class])) {
            array_push($this->collectedTags, ...$this->container->get(TagGeneratorInterface::class)->generate($entity, $includeCollectionTag));
        }
    }
}
