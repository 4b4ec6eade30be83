<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Contracts\Service\ResetInterface;

/**
 * The outcomes of the topics in this ticket request, for the profiler.
 *
 * Bound: MAX_KEPT per request, the limit of a ticket request.
 */
final class RequestedTopics implements ResetInterface
{
    public const GRANTED = 'granted';
    public const DENIED = 'denied';
    /** No voter decides: the server does, by the first rule that matches. */
    public const NOT_VOTED = 'left to the server';
    /** Beyond the limit of voter decisions per ticket, or the voters failed. */
    public const UNDECIDED = 'not decided';

    private const MAX_KEPT = 100;

    /** @var list<array{topic: string, outcome: self::*, by: string}> */
    private array $topics = [];

    /**
     * @param self::* $outcome
     * @param string  $by      attribute and class passed to the voters; empty: none
     */
    public function add(string $topic, string $outcome, string $by = ''): void
    {
        if (\count($this->topics) < self::MAX_KEPT) {
            $this->topics[] = ['topic' => $topic, 'outcome' => $outcome, 'by' => $by];
        }
    }

    /** @return list<array{topic: string, outcome: self::*, by: string}> in order */
    public function all(): array
    {
        return $this->topics;
    }

    public function reset(): void
    {
        $this->topics = [];
    }
}
