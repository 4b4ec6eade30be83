<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Event\OnFlushEventArgs;
use Doctrine\ORM\Event\PostFlushEventArgs;
use Doctrine\Persistence\Mapping\ClassMetadata;
use Orosync\ContentTag\Transaction\UncommittedTags;
use Orosync\Entry\Guard;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Announces what a flush of Doctrine's has changed: all its tags in one message, when the change is committed.
 *
 * Tags are taken before the flush, for a deleted entity has no id after it. They leave after it, or with the commit of
 * the transaction around it where {@see UncommittedTags} can wait for that.
 */
final class ContentTagListener implements ResetInterface
{
    private const LOST = 'A change is not announced';

    /**
     * Tags of the flushes that have begun and not ended, innermost last: a listener may flush within a flush. A flush
     * that failed leaves its tags behind, which nobody announces; its entity manager is closed.
     *
     * @var \WeakMap<EntityManagerInterface, list<list<string>>>
     */
    private \WeakMap $begun;

    /** @var array<class-string, bool> whether the changes of a class are left out; by the setting, or asked once */
    private array $skipped;

    /**
     * @param \Closure(): TagGeneratorInterface $tags
     * @param \Closure(): TagAnnouncerInterface $announcer
     * @param list<class-string>                $skip entity classes whose changes are not announced
     */
    public function __construct(
        private readonly \Closure $tags,
        private readonly \Closure $announcer,
        private readonly UncommittedTags $uncommitted,
        private readonly Guard $guard,
        array $skip,
    ) {
        $this->begun = new \WeakMap();
        $names = array_map(static fn (string $class): string => ltrim($class, '\\'), $skip);
        $this->skipped = array_fill_keys($names, true);
    }

    public function onFlush(OnFlushEventArgs $event): void
    {
        $manager = FlushingManager::of($event);
        $tags = $this->guard->run(self::LOST, fn (): array => $this->tagsOf($manager), []);
        $this->begun[$manager] = [...$this->begun[$manager] ?? [], $tags];
    }

    public function postFlush(PostFlushEventArgs $event): void
    {
        $manager = FlushingManager::of($event);
        $flushes = $this->begun[$manager] ?? [];
        $tags = array_pop($flushes);
        $this->begun[$manager] = $flushes;
        if ([] === ($tags ?? [])) {
            return;
        }
        $this->guard->run(self::LOST, function () use ($manager, $tags): void {
            if (!$this->uncommitted->hold($manager->getConnection(), $tags)) {
                ($this->announcer)()->announce($tags);
            }
        });
    }

    public function reset(): void
    {
        $this->begun = new \WeakMap();
    }

    /** @return list<string> */
    private function tagsOf(EntityManagerInterface $manager): array
    {
        $unit = $manager->getUnitOfWork();
        $entities = [];
        // Each entity once, in the order of OroSyncBundle. Lists change with what comes and goes, so only those two
        // carry the tag of the collection.
        foreach ([...$unit->getScheduledEntityInsertions(), ...$unit->getScheduledEntityDeletions()] as $entity) {
            $entities[spl_object_id($entity)] ??= [$entity, true];
        }
        foreach ($unit->getScheduledEntityUpdates() as $entity) {
            $entities[spl_object_id($entity)] ??= [$entity, false];
        }
        $collections = [...$unit->getScheduledCollectionDeletions(), ...$unit->getScheduledCollectionUpdates()];
        foreach ($collections as $collection) {
            $owner = $collection->getOwner();
            $entities[spl_object_id($owner)] ??= [$owner, false];
        }

        $tags = [];
        $failures = 0;
        foreach ($entities as [$entity, $withCollection]) {
            if ($this->isSkipped($manager->getClassMetadata($entity::class))) {
                continue;
            }
            try {
                array_push($tags, ...($this->tags)()->generate($entity, $withCollection));
            } catch (\Throwable $e) {
                // A generator of the application's: what it cannot name can still be saved.
                ++$failures;
                $first ??= $e;
            }
        }
        if (isset($first)) {
            // An import may fail for each of its rows: one line for all.
            $this->guard->note(sprintf('A flush is announced without %d of its entities', $failures), $first);
        }

        return $tags;
    }

    /** @param ClassMetadata<object> $metadata it knows the real class of a proxy */
    private function isSkipped(ClassMetadata $metadata): bool
    {
        return $this->skipped[$metadata->getName()]
            ??= [] !== $metadata->getReflectionClass()->getAttributes(Untracked::class);
    }
}
