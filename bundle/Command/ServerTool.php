<?php

declare(strict_types=1);

namespace Orosync\Command;

use Orosync\Endpoint\BackendEndpoint;
use Orosync\Publishing\SharedSecret;

/**
 * Runs a command of `orosync-server` against the application's server, with the application's secret.
 *
 * The secret is passed in the environment: a command line is readable by every user of the machine.
 */
final class ServerTool
{
    /**
     * @param string|null $caFile the only certificate authorities for a `wss://` server; null: those of php.ini, else of the
     *   system
     */
    public function __construct(
        private readonly ServerBinary $binary,
        private readonly ServerProcess $process,
        private readonly BackendEndpoint $backend,
        private readonly SharedSecret $secret,
        private readonly ?string $caFile,
    ) {
    }

    /**
     * @param list<string> $arguments of the server's command
     *
     * @return int its exit code
     *
     * @throws \Throwable with a remedy in its message
     */
    public function run(string $command, array $arguments): int
    {
        $endpoint = $this->backend->resolve() ?? throw new \RuntimeException(
            'The backend endpoint is empty, which switches live notifications off. Set orosync.backend.',
        );
        $caFile = $this->caFile ?? (string) ini_get('orosync.ca_file');
        $environment = $this->secret->forServer() + ('' === $caFile ? [] : ['SSL_CERT_FILE' => $caFile]);

        return $this->process->run($this->binary->path(), [$command, '--endpoint', $endpoint, ...$arguments], $environment);
    }
}
