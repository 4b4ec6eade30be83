<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Entity\Import;
use Demo\Entity\ImportState;
use Orosync\Publishing\PublisherInterface;

/** Publishes the progress of an import to its open pages. */
final class ImportProgress
{
    public function __construct(private readonly PublisherInterface $publisher)
    {
    }

    /** Topic of an import, granted by ImportTopics. */
    public static function topicOf(Import $import): string
    {
        return "demo/import/{$import->getId()}";
    }

    public function publish(Import $import, int $done): void
    {
        $this->publisher->publish(self::topicOf($import), ['done' => $done] + self::state($import));
    }

    /** @return array{state: string, done: int, total: int} from the database, where a running import has no rows yet */
    public static function state(Import $import): array
    {
        return [
            'state' => $import->getState()->value,
            'done' => $import->getState() === ImportState::Done ? $import->getTotal() : 0,
            'total' => $import->getTotal(),
        ];
    }
}
