<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

/**
 * The tags of one open transaction, each once, and where its savepoints stand among them.
 *
 * Bounds: the number of tags, beyond which they are counted and not kept; and MAX_SAVEPOINTS, beyond which the oldest is
 * forgotten. What is rolled back to a forgotten savepoint stays: a page that loads again for nothing is the lesser harm.
 */
final class HeldTags
{
    private const MAX_SAVEPOINTS = 1000;

    /** @var array<string, true> in the order in which they came, so that a savepoint is a place among them */
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

    /** What came after the savepoint belongs to what is around it; the savepoints after it are gone too. */
    public function releaseSavepoint(string $name): void
    {
        $place = $this->find($name);
        if (null !== $place) {
            array_splice($this->savepoints, $place);
        }
    }

    /** What came after the savepoint is forgotten; the savepoint itself stays, as in SQL. */
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
        // As an array key a tag of digits has become a number.
        return array_map(strval(...), array_keys($this->tags));
    }

    /** How many found the bound reached. */
    public function dropped(): int
    {
        return $this->dropped;
    }

    /** The innermost of that name: one that is set again hides the one before. */
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
