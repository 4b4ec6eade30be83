<?php

declare(strict_types=1);

namespace Orosync\Command;

/** Finds the native server on this machine. */
final class ServerBinary
{
    private const NAME = 'orosync-server';
    private const VERSION_SECONDS = 5;

    /**
     * @param string|null $configured a path, or a name to look for in PATH; null: its own name
     * @param list<string> $directories searched after PATH
     */
    public function __construct(
        private readonly ?string $configured,
        private readonly array $directories,
    ) {
    }

    /** @throws \RuntimeException names the places that were searched and how to install the server */
    public function path(): string
    {
        if (null !== $this->configured && str_contains($this->configured, '/')) {
            return is_file($this->configured) && is_executable($this->configured)
                ? $this->configured
                : throw new \RuntimeException(sprintf(
                    'orosync.server.binary: "%s" is not an executable file.',
                    $this->configured,
                ));
        }
        $name = $this->configured ?? self::NAME;
        foreach ([...explode(\PATH_SEPARATOR, (string) getenv('PATH')), ...$this->directories] as $directory) {
            $candidate = $directory . '/' . $name;
            if (is_file($candidate) && is_executable($candidate)) {
                return $candidate;
            }
        }

        throw new \RuntimeException(sprintf(
            '"%s" is neither in PATH nor in %s. Install the package orosync-server, or build it '
            . '("cargo build --release" in Orosync\'s sources) and set orosync.server.binary to its path.',
            $name,
            implode(', ', $this->directories),
        ));
    }

    /**
     * The server's version, as printed by `--version` within VERSION_SECONDS.
     *
     * @throws \RuntimeException with a remedy in its message
     */
    public function version(): string
    {
        $path = $this->path();
        $process = @proc_open([$path, '--version'], [1 => ['pipe', 'w'], 2 => ['file', '/dev/null', 'w']], $pipes);
        if (false === $process) {
            throw new \RuntimeException(sprintf('Cannot start "%s".', $path));
        }
        [$readable, $none] = [[$pipes[1]], null];
        $output = 1 === stream_select($readable, $none, $none, self::VERSION_SECONDS) ? (string) fgets($pipes[1]) : '';
        proc_terminate($process, 9);
        fclose($pipes[1]);
        proc_close($process);
        if (1 !== preg_match('~^orosync-server (\S+)$~', trim($output), $version)) {
            throw new \RuntimeException(sprintf('"%s" is not orosync-server: --version printed "%s".', $path, substr(trim($output), 0, 100)));
        }

        return $version[1];
    }
}
