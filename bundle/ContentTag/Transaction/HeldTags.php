<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

/**
 * The tags of one open transaction, without duplicates, and the positions of its savepoints among them.
 *
 * Bounds: the number of tags, beyond which they are counted but not kept, and MAX_SAVEPOINTS, beyond which the oldest is
 * forgotten. A rollback to a forgotten savepoint removes no tags: an unnecessary reload of a page does less harm than a missed
 * change.
 */
final class HeldTags
{
    private const MAX_SAVEPOINTS = 1000;

    /** @var array<string, true> in order of insertion, so that a savepoint is an offset */
    private array $tags = [];

    private int $dropped = 0;

    /** @var list<array{name: string, tags: int, dropped: int}> innermost last */
    private array $savepoints = [];

    public function __construct(private readonly int $maxTags)
    {
    }

    /** @param list<string> $tags */
    public function add(array $tags): void
    {
        foreach ($tags as $tag) {
            if (isset($this->tags[$tag])) {
                continue;
            }
            if (\count($this->tags) < $this->maxTags) {
                $this->tags[$tag] = true;
            } else {
                ++$this->dropped;
            }
        }
    }

    public function setSavepoint(string $name): void
    {
        if (\count($this->savepoints) >= self::MAX_SAVEPOINTS) {
            array_shift($this->savepoints);
        }
        $this->savepoints[] = ['name' => $name, 'tags' => \count($this->tags), 'dropped' => $this->dropped];
    }

    /** Removes a savepoint and all later ones. Their tags stay in the transaction. */
    public function releaseSavepoint(string $name): void
    {
        $place = $this->find($name);
        if (null !== $place) {
            array_splice($this->savepoints, $place);
        }
    }

    /** Removes the tags and savepoints after a savepoint. As in SQL, the savepoint itself stays. */
    public function rollBackTo(string $name): void
    {
        $place = $this->find($name);
        if (null === $place) {
            return;
        }
        $savepoint = $this->savepoints[$place];
        $this->tags = \array_slice($this->tags, 0, $savepoint['tags'], true);
        $this->dropped = $savepoint['dropped'];
        array_splice($this->savepoints, $place + 1);
    }

    /** @return list<string> */
    public function tags(): array
    {
        // PHP turns array keys of digits into integers.
        return array_map(strval(...), array_keys($this->tags));
    }

    /** Number of tags beyond the bound. */
    public function dropped(): int
    {
        return $this->dropped;
    }

    /** Index of the innermost savepoint of that name: a later one hides an earlier one. */
    private function find(string $name): ?int
    {
        for ($place = \count($this->savepoints) - 1; $place >= 0; --$place) {
            if ($this->savepoints[$place]['name'] === $name) {
                return $place;
            }
        }

        return null;
    }
}
