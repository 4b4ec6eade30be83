<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Symfony\Component\DependencyInjection\ParameterBag\ParameterBagInterface;

/**
 * Finds the settings of each endpoint: the tree `orosync:`, else the DSN parameter of Oro 5.1 and later, else the parameters of
 * earlier versions.
 *
 * As in Oro, presence decides: an empty value counts. Parameters are passed by reference, so that their environment variables
 * are read at run time.
 *
 * The results are for {@see \Orosync\Endpoint\Dsn::fromSettings()}; a DSN of null means that the tree has no value.
 */
final class EndpointSettings
{
    /** Old parameter names per part: the first that exists wins, the last is the fallback for all endpoints. */
    private const SERVER = [
        'host' => ['websocket_bind_address', 'websocket_host'],
        'port' => ['websocket_bind_port', 'websocket_port'],
    ];
    private const BACKEND = [
        'host' => ['websocket_backend_host', 'websocket_host'],
        'port' => ['websocket_backend_port', 'websocket_port'],
        'path' => ['websocket_backend_path', 'websocket_path'],
        'transport' => ['websocket_backend_transport'],
    ];
    private const FRONTEND = [
        'host' => ['websocket_frontend_host', 'websocket_host'],
        'port' => ['websocket_frontend_port', 'websocket_port'],
        'path' => ['websocket_frontend_path', 'websocket_path'],
    ];

    public function __construct(private readonly ParameterBagInterface $parameters)
    {
    }

    /** @return array<string, mixed>|null null: no listen address is configured */
    public function server(mixed $dsn): ?array
    {
        return $this->find('orosync.server.bind', $dsn, 'websocket_server_dsn', 'websocket_bind_*', self::SERVER, '0.0.0.0');
    }

    /** @return array<string, mixed> */
    public function backend(mixed $dsn): array
    {
        return $this->find('orosync.backend', $dsn, 'websocket_backend_dsn', 'websocket_backend_*', self::BACKEND, '*')
            ?? ['key' => 'orosync.backend', 'dsn' => '//*'];
    }

    /** @return array<string, mixed> */
    public function frontend(mixed $dsn): array
    {
        return $this->find('orosync.frontend', $dsn, 'websocket_frontend_dsn', 'websocket_frontend_*', self::FRONTEND, '*')
            ?? ['key' => 'orosync.frontend', 'dsn' => '//*/ws'];
    }

    /**
     * @param string                      $group name of the parameter group, for messages
     * @param array<string, list<string>> $names
     *
     * @return array<string, mixed>|null
     */
    private function find(string $key, mixed $dsn, string $dsnParameter, string $group, array $names, string $defaultHost): ?array
    {
        if (null !== $dsn) {
            return ['key' => $key, 'dsn' => $dsn];
        }
        if ($this->parameters->has($dsnParameter)) {
            return ['key' => $dsnParameter, 'dsn' => '%' . $dsnParameter . '%'];
        }
        $parts = [];
        foreach ($names as $part => $candidates) {
            foreach ($candidates as $name) {
                if ($this->parameters->has($name)) {
                    $parts[$part] = '%' . $name . '%';
                    break;
                }
            }
        }
        if ([] === $parts) {
            return null;
        }

        return ['key' => $group] + $parts + ['host' => $defaultHost];
    }
}
