<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** The listen address of the server that this application starts. */
final class BindAddress
{
    public const DEFAULT = ['key' => 'orosync.server.bind', 'dsn' => '//0.0.0.0'];

    /** Port of the server's `admin_bind` if its listen port is unknown. */
    private const ADMIN_PORT = 8081;

    /**
     * @param array<string, mixed>|null $settings see {@see Dsn::fromSettings()}; null: set in the server's own file
     */
    public function __construct(private readonly ?array $settings)
    {
    }

    /** Whether the application sets the listen address; otherwise the server's own configuration file does. */
    public function isConfigured(): bool
    {
        return null !== $this->settings;
    }

    /**
     * @param string|null $host replaces the configured host
     * @param string|null $port replaces the configured port
     *
     * @return string|null `host:port` or `unix:/path`, in the format of `orosync-server serve --bind`; null: switched off
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

        // A fallback parameter `websocket_host: "*"` may arrive here; "*" is not an address.
        return ('*' === $dsn->host ? $dsn->withHost('0.0.0.0') : $dsn)->authority();
    }

    /**
     * The server's admin address if its own configuration does not set it (`admin_bind = "auto"`).
     *
     * @return string `host:port`
     */
    public function admin(): string
    {
        $dsn = Dsn::fromSettings($this->settings ?? self::DEFAULT);

        return '127.0.0.1:' . (null === $dsn || null !== $dsn->socket || 65535 === $dsn->port ? self::ADMIN_PORT : $dsn->port + 1);
    }
}
