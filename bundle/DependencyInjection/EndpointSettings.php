<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Symfony\Component\DependencyInjection\ParameterBag\ParameterBagInterface;

/**
 * Finds what is configured for each endpoint: the tree `orosync:`, else the DSN parameter of Oro 5.1 and later, else the
 * parameters of the versions before.
 *
 * Presence decides, as in Oro: an empty value is a value. Parameters are passed on by reference, so that their
 * environment variables are read at run time.
 *
 * What it returns is for {@see \Orosync\Endpoint\Dsn::fromSettings()}; null as a DSN means that the tree is silent.
 */
final class EndpointSettings
{
    /** Old parameter names per part: the first that is there wins, the last is the fallback for all endpoints. */
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

    /** @return array<string, mixed>|null null: nobody says where the server listens */
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
     * @param string                      $group the parameters of $names, for messages
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
