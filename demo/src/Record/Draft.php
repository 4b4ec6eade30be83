<?php

declare(strict_types=1);

namespace Demo\Record;

/** What a form says about a record, and the version that its author was looking at; 0 for a new record. */
abstract class Draft
{
    public int $version = 0;

    /** @return array<string, string> by label, as people read it */
    abstract public function facts(): array;

    /**
     * Where the two say different things; versions are not compared.
     *
     * @return list<array{label: string, mine: string, theirs: string}>
     */
    public function differences(self $theirs): array
    {
        $theirFacts = $theirs->facts();
        $differences = [];
        foreach ($this->facts() as $label => $mine) {
            if ($mine !== $theirFacts[$label]) {
                $differences[] = ['label' => $label, 'mine' => $mine, 'theirs' => $theirFacts[$label]];
            }
        }

        return $differences;
    }
}
