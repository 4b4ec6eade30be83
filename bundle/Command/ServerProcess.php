<?php

declare(strict_types=1);

namespace Orosync\Command;

/**
 * Replaces this process by the native server.
 *
 * With pcntl it uses exec: the PID stays the same, so a supervisor's signals reach the server and its exit code reaches the
 * supervisor directly. Without pcntl the server runs as a child that shares the standard streams, and signals are forwarded if
 * PHP can receive them.
 */
final class ServerProcess
{
    /** Signals forwarded to a child: SIGINT, SIGTERM, SIGHUP. As numbers, because the constants need pcntl. */
    private const SIGNALS = [2, 15, 1];

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment added to this process's environment
     *
     * @return int the server's exit code
     */
    public function run(string $binary, array $arguments, array $environment): int
    {
        // Variables of .env files are only in $_ENV.
        $environment += array_filter($_ENV, is_string(...)) + getenv();

        return \function_exists('pcntl_exec')
            ? $this->replaceUs($binary, $arguments, $environment)
            : $this->runChild($binary, $arguments, $environment);
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment
     */
    private function replaceUs(string $binary, array $arguments, array $environment): int
    {
        @pcntl_exec($binary, $arguments, $environment);

        // Returns only on failure.
        throw new \RuntimeException(sprintf('Cannot start "%s": %s.', $binary, pcntl_strerror(pcntl_get_last_error())));
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment
     */
    private function runChild(string $binary, array $arguments, array $environment): int
    {
        $child = proc_open([$binary, ...$arguments], [\STDIN, \STDOUT, \STDERR], $pipes, null, $environment);
        if (false === $child) {
            throw new \RuntimeException(sprintf('Cannot start "%s".', $binary));
        }
        if (\function_exists('pcntl_signal') && \function_exists('pcntl_async_signals')) {
            pcntl_async_signals(true);
            foreach (self::SIGNALS as $signal) {
                pcntl_signal($signal, static fn (int $signal): bool => proc_terminate($child, $signal));
            }
        }
        while (($status = proc_get_status($child))['running']) {
            usleep(50_000);
        }
        proc_close($child);

        return $status['signaled'] ? 128 + $status['termsig'] : $status['exitcode'];
    }
}
