<?php

declare(strict_types=1);

namespace Orosync\Command;

/**
 * Runs the native server in this process's place.
 *
 * With pcntl it replaces this process: same PID, so a supervisor's signals and the exit code need nobody in between.
 * Without, it runs as a child that shares our streams, and signals are passed on where PHP can receive them.
 */
final class ServerProcess
{
    /** Passed on to a child; SIGINT, SIGTERM, SIGHUP, numbered because the constants come with pcntl. */
    private const SIGNALS = [2, 15, 1];

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment added to ours
     *
     * @return int the server's exit code
     */
    public function run(string $binary, array $arguments, array $environment): int
    {
        // What an application's .env files say is in $_ENV alone.
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

        // Only a failure comes back.
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
