<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** Where the server that this application starts listens. */
final class BindAddress
{
    public const DEFAULT = ['key' => 'orosync.server.bind', 'dsn' => '//0.0.0.0'];

    /** The port of the server's `admin_bind` where no port of its own comes before it. */
    private const ADMIN_PORT = 8081;

    /**
     * @param array<string, mixed>|null $settings see {@see Dsn::fromSettings()}; null: the server's own file says it
     */
    public function __construct(private readonly ?array $settings)
    {
    }

    /** Does this application say where the server listens, or is that left to the server's own configuration file? */
    public function isTold(): bool
    {
        return null !== $this->settings;
    }

    /**
     * @param string|null $host takes the place of the configured one
     * @param string|null $port likewise
     *
     * @return string|null `host:port` or `unix:/path`, as `orosync-server serve --bind` takes it; null: switched off
     */
    public function resolve(?string $host = null, ?string $port = null): ?string
    {
        $dsn = Dsn::fromSettings($this->settings ?? self::DEFAULT);
        if (null === $dsn) {
            return null;
        }
        if (null === $host && null === $port && null !== $dsn->socket) {
            return 'unix:' . $dsn->socket;
        }
        if (null !== $host || null !== $port) {
            $dsn = Dsn::fromSettings([
                'key' => '--host, --port',
                'host' => $host ?? (null === $dsn->socket ? $dsn->host : '*'),
                'port' => $port ?? (null === $dsn->socket ? $dsn->port : Dsn::DEFAULT_PORT),
            ]) ?? throw new InvalidEndpointException('--host: the address is empty. Write for example 127.0.0.1.');
        }

        // A fallback parameter `websocket_host: "*"` lands here too; no address is called so.
        return ('*' === $dsn->host ? $dsn->withHost('0.0.0.0') : $dsn)->authority();
    }

    /**
     * Where the server answers the operator's tools if its own configuration does not say it (`admin_bind = "auto"`).
     *
     * @return string `host:port`
     */
    public function admin(): string
    {
        $dsn = Dsn::fromSettings($this->settings ?? self::DEFAULT);

        return '127.0.0.1:' . (null === $dsn || null !== $dsn->socket || 65535 === $dsn->port ? self::ADMIN_PORT : $dsn->port + 1);
    }
}
