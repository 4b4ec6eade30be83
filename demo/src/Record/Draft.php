<?php

declare(strict_types=1);

namespace Demo\Record;

/** The fields of a record's form, and the version that its author saw; 0 for a new record. */
abstract class Draft
{
    public int $version = 0;

    /** @return array<string, string> values by label */
    abstract public function facts(): array;

    /**
     * The differing fields; versions are not compared.
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
