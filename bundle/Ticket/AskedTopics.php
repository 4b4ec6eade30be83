<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Contracts\Service\ResetInterface;

/**
 * What came of the topics that the page of this request has asked for, for the profiler.
 *
 * Bound: MAX_KEPT of a request, as many as a page may name.
 */
final class AskedTopics implements ResetInterface
{
    public const GRANTED = 'granted';
    public const DENIED = 'denied';
    /** No voter decides about it: the server does by itself, by the first rule that matches. */
    public const NOT_VOTED = 'left to the server';
    /** Beyond what voters decide about for one ticket, or they could not be asked. */
    public const UNDECIDED = 'not decided';

    private const MAX_KEPT = 100;

    /** @var list<array{topic: string, outcome: self::*, by: string}> */
    private array $topics = [];

    /**
     * @param self::* $outcome
     * @param string  $by      the voters' question; empty: none
     */
    public function add(string $topic, string $outcome, string $by = ''): void
    {
        if (\count($this->topics) < self::MAX_KEPT) {
            $this->topics[] = ['topic' => $topic, 'outcome' => $outcome, 'by' => $by];
        }
    }

    /** @return list<array{topic: string, outcome: self::*, by: string}> in their order */
    public function all(): array
    {
        return $this->topics;
    }

    public function reset(): void
    {
        $this->topics = [];
    }
}
