<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Logs the beginning and the end of an outage once, however many requests and processes meet it.
 *
 * PHP forgets everything between two requests, so the memory is a file: it is there while an outage is in the log, and
 * its time is when somebody last met it. Owns that file and nothing else. Where it cannot be written, every request
 * that meets the outage logs it once.
 */
final class OutageLog
{
    /** So long nobody has met it before it is over: one process may be connected again while others still wait. */
    private const OVER_AFTER_SECONDS = 60;

    /** A file this old is of an outage whose end nobody has seen. */
    private const FORGOTTEN_AFTER_SECONDS = 86_400;

    /** An outage is met at every refused message; the file need not know each. */
    private const TOUCH_EVERY_SECONDS = 1;

    private int $touched = 0;

    /** The file cannot be written and this object has logged the outage by itself. */
    private bool $alone = false;

    public function __construct(
        private readonly string $file,
        private readonly LoggerInterface $logger,
    ) {
    }

    /**
     * Somebody has met the outage.
     *
     * @param string               $level   a PSR-3 level
     * @param array<string, mixed> $context
     */
    public function met(string $level, string $message, array $context): void
    {
        $now = time();
        if ($now - $this->touched < self::TOUCH_EVERY_SECONDS) {
            return;
        }
        $this->touched = $now;
        $since = $this->lastMet();
        if (null === $since && !$this->begin()) {
            // Another process was faster, or the file cannot be written.
            $since = $this->lastMet();
            if (null === $since && $this->alone) {
                return;
            }
            $this->alone = null === $since;
        }
        if (!$this->alone) {
            @touch($this->file);
        }
        if (null === $since || $now - $since > self::FORGOTTEN_AFTER_SECONDS) {
            $this->logger->log($level, $message, $context);
        }
    }

    /**
     * Somebody has found that all is well.
     *
     * @param array<string, mixed> $context
     */
    public function over(string $message, array $context): void
    {
        $this->alone = false;
        $since = $this->lastMet();
        // Of those that find the file, the one that removes it says so.
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

    private function lastMet(): ?int
    {
        clearstatcache(true, $this->file);
        $time = @filemtime($this->file);

        return false === $time ? null : $time;
    }
}
