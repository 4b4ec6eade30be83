<?php

declare(strict_types=1);

namespace Orosync\Entry;

use Psr\Log\LoggerInterface;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Runs our part of what the application does: a logout, a flush, a page, the end of a request. Whatever is thrown there is
 * logged, counted and ends here.
 *
 * What a part needs is built within it, for a service that cannot be built fails like one that does not work. Bound:
 * MAX_FAILURES of a request are kept for the profiler; all are counted.
 */
final class Guard implements ResetInterface
{
    private const MAX_FAILURES = 100;

    /** @var list<Failure> */
    private array $failures = [];

    private int $count = 0;

    public function __construct(private readonly LoggerInterface $logger)
    {
    }

    /**
     * @template T
     *
     * @param string        $lost      for the log, before the reason: what does not happen when the part fails
     * @param \Closure(): T $part
     * @param T             $otherwise what comes of it then
     *
     * @return T
     */
    public function run(string $lost, \Closure $part, mixed $otherwise = null): mixed
    {
        try {
            return $part();
        } catch (\Throwable $e) {
            $this->note($lost, $e);

            return $otherwise;
        }
    }

    /**
     * Logs and counts what was caught elsewhere.
     *
     * @param string $lost as for {@see run()}
     */
    public function note(string $lost, \Throwable $e): void
    {
        ++$this->count;
        if (\count($this->failures) < self::MAX_FAILURES) {
            $this->failures[] = new Failure($lost, sprintf('%s: %s', $e::class, $e->getMessage()));
        }
        try {
            $this->logger->error('{lost}: {reason}', ['lost' => $lost, 'reason' => $e->getMessage(), 'exception' => $e]);
        } catch (\Throwable) {
            // A log that cannot be written, which Monolog throws for, is no reason for a page to fail. It is counted.
        }
    }

    /** @return list<Failure> of this request, in their order */
    public function failures(): array
    {
        return $this->failures;
    }

    /** How many there were in this request. */
    public function count(): int
    {
        return $this->count;
    }

    public function reset(): void
    {
        $this->failures = [];
        $this->count = 0;
    }
}
