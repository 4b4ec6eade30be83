<?php

declare(strict_types=1);

namespace Orosync\Command;

/** Where the native server is on this machine. */
final class ServerBinary
{
    private const NAME = 'orosync-server';

    /**
     * @param string|null  $configured  a path, or a name to look for in PATH; null: look everywhere
     * @param list<string> $directories looked through after PATH
     */
    public function __construct(
        private readonly ?string $configured,
        private readonly array $directories,
    ) {
    }

    /** @throws \RuntimeException it says where was looked and how to get it */
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
}
