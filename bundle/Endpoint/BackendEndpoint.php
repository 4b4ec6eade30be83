<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** The address at which PHP reaches the server, or the nodes of a cluster. The host `*` means this machine. */
final class BackendEndpoint
{
    private const PLAIN = ['', 'tcp', 'ws', 'http'];
    private const SECURE = ['ssl', 'tls', 'tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3', 'wss', 'https'];

    /** @param array<string, mixed> $settings see {@see Dsn::fromSettings()} */
    public function __construct(private readonly array $settings)
    {
    }

    /**
     * @return string|null `ws://host:port/path`, `wss://...` or `unix:/path`, or several of them separated by spaces, in the
     *   extension's format; null: switched off
     */
    public function resolve(): ?string
    {
        $endpoints = $this->resolveEach();

        return [] === $endpoints ? null : implode(' ', $endpoints);
    }

    /** @return list<string> the endpoints one by one; empty: switched off */
    public function resolveEach(): array
    {
        return array_map($this->endpoint(...), Dsn::listFromSettings($this->settings));
    }

    private function endpoint(Dsn $dsn): string
    {
        if (null !== $dsn->socket) {
            return 'unix:' . $dsn->socket;
        }
        $scheme = match (true) {
            \in_array($dsn->scheme, self::PLAIN, true) => 'ws',
            \in_array($dsn->scheme, self::SECURE, true) => 'wss',
            default => throw InvalidEndpointException::of(
                $this->settings['key'],
                $dsn->scheme,
                'is not a transport. Write tcp or ws for a plain connection, ssl or wss for an encrypted one.',
            ),
        };
        $dsn = '*' === $dsn->host ? $dsn->withHost('127.0.0.1') : $dsn;

        return sprintf('%s://%s/%s', $scheme, $dsn->authority(), $dsn->path);
    }
}
