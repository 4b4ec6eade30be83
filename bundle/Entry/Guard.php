<?php

declare(strict_types=1);

namespace Orosync\Entry;

use Psr\Log\LoggerInterface;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Runs the bundle's code within actions of the application (a logout, a flush, a page, the end of a request). Catches, logs and
 * counts every exception.
 *
 * Services are built inside the guarded code, because building them may fail too. Bound: MAX_FAILURES failures per request are
 * kept for the profiler; all are counted.
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
     * @param string        $lost      for the log, before the reason: the effect that is missing after a failure
     * @param \Closure(): T $part
     * @param T             $otherwise the result after a failure
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
     * Logs and counts an exception that was caught elsewhere.
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
            // Monolog throws if the log cannot be written. That must not break the page; it is counted.
        }
    }

    /** @return list<Failure> of this request, in order */
    public function failures(): array
    {
        return $this->failures;
    }

    /** Number of failures in this request. */
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
