<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Logs the start and the end of an outage once each, for all requests and processes.
 *
 * PHP keeps no state between requests, so a file does: it exists during an outage, and its mtime is the last time a request was
 * affected. Owns only that file. If it cannot be written, every affected request logs the outage once.
 */
final class OutageLog
{
    /**
     * Seconds without an affected request before an outage counts as over: one process may be connected again before
     * others.
     */
    private const OVER_AFTER_SECONDS = 60;

    /** Age in seconds of a file left by an outage whose end was not observed. */
    private const FORGOTTEN_AFTER_SECONDS = 86_400;

    /** Minimum interval in seconds between two updates of the file. */
    private const TOUCH_EVERY_SECONDS = 1;

    private int $touched = 0;

    /** Whether this object has logged the outage without the file. */
    private bool $isLoggedWithoutFile = false;

    public function __construct(
        private readonly string $file,
        private readonly LoggerInterface $logger,
    ) {
    }

    /**
     * Records that a request was affected by the outage.
     *
     * @param string               $level   a PSR-3 level
     * @param array<string, mixed> $context
     */
    public function affected(string $level, string $message, array $context): void
    {
        $now = time();
        if ($now - $this->touched < self::TOUCH_EVERY_SECONDS) {
            return;
        }
        $this->touched = $now;
        $since = $this->lastAffected();
        if (null === $since && !$this->begin()) {
            // Another process created it first, or the file cannot be written.
            $since = $this->lastAffected();
            if (null === $since && $this->isLoggedWithoutFile) {
                return;
            }
            $this->isLoggedWithoutFile = null === $since;
        }
        if (!$this->isLoggedWithoutFile) {
            @touch($this->file);
        }
        if (null === $since || $now - $since > self::FORGOTTEN_AFTER_SECONDS) {
            $this->logger->log($level, $message, $context);
        }
    }

    /**
     * Records that a request found the server working.
     *
     * @param array<string, mixed> $context
     */
    public function resolved(string $message, array $context): void
    {
        $this->isLoggedWithoutFile = false;
        $since = $this->lastAffected();
        // The process that removes the file logs the end.
        if (null !== $since && time() - $since > self::OVER_AFTER_SECONDS && @unlink($this->file)) {
            $this->touched = 0;
            $this->logger->log(LogLevel::NOTICE, $message, $context);
        }
    }

    private function begin(): bool
    {
        @mkdir(\dirname($this->file), recursive: true);
        $handle = @fopen($this->file, 'x');

        return false !== $handle && fclose($handle);
    }

    private function lastAffected(): ?int
    {
        clearstatcache(true, $this->file);
        $time = @filemtime($this->file);

        return false === $time ? null : $time;
    }
}
