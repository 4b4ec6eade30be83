<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** A running program with its output in a file. Stopped on destruction at the latest. */
final class Process
{
    private const LIMIT_SECONDS = 20.0;

    /** @var resource */
    private $process;
    private bool $stopped = false;

    /**
     * @param list<string> $command
     * @param array<string, string> $environment added to the inherited one
     */
    public function __construct(private readonly array $command, private readonly string $log, array $environment = [])
    {
        $files = [['file', '/dev/null', 'r'], ['file', $log, 'a'], ['file', $log, 'a']];
        $this->process = proc_open($command, $files, $pipes, null, $environment + getenv())
            ?: throw new \RuntimeException("cannot start $command[0]");
    }

    /** Runs a program to its end and returns its output. */
    public static function run(array $command, array $environment = []): string
    {
        $files = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']];
        $process = proc_open($command, $files, $pipes, null, $environment + getenv())
            ?: throw new \RuntimeException("cannot start $command[0]");
        $output = stream_get_contents($pipes[1]);
        $errors = stream_get_contents($pipes[2]);
        $code = proc_close($process);
        if ($code !== 0) {
            throw new \RuntimeException(implode(' ', $command) . " ended with $code:\n$output$errors");
        }

        return $output;
    }

    /** Waits until the condition returns a truthy value, and returns it. */
    public function await(string $what, callable $condition): mixed
    {
        $deadline = hrtime(true) + (int) (self::LIMIT_SECONDS * 1e9);
        while (!($result = $condition())) {
            if (!proc_get_status($this->process)['running'] || hrtime(true) > $deadline) {
                throw new \RuntimeException("{$this->command[0]}: not $what:\n" . file_get_contents($this->log));
            }
            usleep(500);
        }

        return $result;
    }

    public function awaitListening(string $address): void
    {
        $this->await("listening on $address", static fn (): bool => self::listens($address));
    }

    public static function listens(string $address): bool
    {
        $socket = @stream_socket_client($address, $code, $message, 1.0);

        return $socket !== false && fclose($socket);
    }

    public function stop(): void
    {
        if ($this->stopped) {
            return;
        }
        $this->stopped = true;
        proc_terminate($this->process);
        $deadline = hrtime(true) + (int) (self::LIMIT_SECONDS * 1e9);
        while (proc_get_status($this->process)['running']) {
            if (hrtime(true) > $deadline) {
                proc_terminate($this->process, 9);
            }
            usleep(500);
        }
    }

    public function __destruct()
    {
        $this->stop();
    }
}
