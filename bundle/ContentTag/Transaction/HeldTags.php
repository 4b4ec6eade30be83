<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

/** The tags of one open transaction, each once, up to a bound. */
final class HeldTags
{
    /** @var array<string, true> */
    private array $tags = [];

    private int $dropped = 0;

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
}
