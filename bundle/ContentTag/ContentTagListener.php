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
 * Announces the changes of a Doctrine flush: all tags in one message, after the commit.
 *
 * Tags are collected before the flush, because a deleted entity has no id afterwards. They are sent after the flush, or after
 * the commit of the surrounding transaction if {@see UncommittedTags} can wait for it.
 */
final class ContentTagListener implements ResetInterface
{
    private const LOST = 'A change was not announced';

    /**
     * Tags of the flushes in progress, innermost last: a listener may flush within a flush. Tags of a failed flush stay here
     * and are never announced; its entity manager is closed.
     *
     * @var \WeakMap<EntityManagerInterface, list<list<string>>>
     */
    private \WeakMap $begun;

    /** @var array<class-string, bool> whether the changes of a class are skipped: the setting, and cached results */
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
        // Each entity once, in the order of OroSyncBundle. Only insertions and deletions change a list, so only they include
        // the collection tag.
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
                // A generator of the application failed: the entity is saved all the same.
                ++$failures;
                $first ??= $e;
            }
        }
        if (isset($first)) {
            // One log line for all: an import may fail for each of its rows.
            $this->guard->note(sprintf('A flush was announced without %d of its entities', $failures), $first);
        }

        return $tags;
    }

    /** @param ClassMetadata<object> $metadata contains the real class of a proxy */
    private function isSkipped(ClassMetadata $metadata): bool
    {
        return $this->skipped[$metadata->getName()]
            ??= [] !== $metadata->getReflectionClass()->getAttributes(Untracked::class);
    }
}
