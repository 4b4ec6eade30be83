<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/**
 * One endpoint of the configuration: `scheme://host:port/path` with an optional scheme, or `unix:/path/to/socket`.
 *
 * Parsed at run time, because it may come from an environment variable. The caller interprets the host `*`: the page's host for
 * a browser, this machine for PHP.
 */
final class Dsn
{
    /** OroSyncBundle's default port for server, PHP and browser. */
    public const DEFAULT_PORT = 8080;

    /** Default ports by scheme; Oro's transports (tcp, ssl) and a missing scheme use DEFAULT_PORT. */
    private const PORTS = ['ws' => 80, 'http' => 80, 'wss' => 443, 'https' => 443];

    /** Separator of a list: spaces or commas, followed by the start of an endpoint. */
    private const SEPARATOR = '~[\s,]+(?=(?:[a-z][a-z0-9.+-]*:)?//|unix:)~i';

    private function __construct(
        public readonly string $scheme,
        public readonly string $host,
        public readonly int $port,
        public readonly string $path,
        public readonly ?string $socket = null,
    ) {
    }

    /**
     * @param array{key: string, dsn?: mixed, host?: mixed, port?: mixed, path?: mixed, transport?: mixed} $settings `key`:
     *   their name in messages; either a `dsn`, or its parts from OroSyncBundle's older parameters
     *
     * @return self|null null: switched off: an empty value or the word "null", as in Oro
     */
    public static function fromSettings(array $settings): ?self
    {
        if (\array_key_exists('dsn', $settings)) {
            return self::parse($settings['key'], self::text($settings['dsn']));
        }
        $host = self::text($settings['host'] ?? null);
        if (self::isOff($host)) {
            return null;
        }

        return new self(
            strtolower(self::text($settings['transport'] ?? null)),
            self::bracketed($host),
            self::port($settings['key'], self::text($settings['port'] ?? self::DEFAULT_PORT)),
            trim(self::text($settings['path'] ?? null), '/'),
        );
    }

    /**
     * Parses a list separated by spaces or commas. Each endpoint has a scheme or begins with `//`.
     *
     * @param array<string, mixed> $settings see {@see Dsn::fromSettings()}
     *
     * @return list<self> the endpoints that are not switched off
     */
    public static function listFromSettings(array $settings): array
    {
        if (!\array_key_exists('dsn', $settings)) {
            return array_filter([self::fromSettings($settings)]);
        }
        $parse = static fn (string $dsn): ?self => self::parse($settings['key'], $dsn);

        return array_values(array_filter(array_map($parse, preg_split(self::SEPARATOR, trim(self::text($settings['dsn']), ', ')))));
    }

    /** `host:port`, an IPv6 address in brackets; or `unix:/path`. */
    public function authority(): string
    {
        return $this->host . ':' . $this->port;
    }

    public function withHost(string $host): self
    {
        return new self($this->scheme, self::bracketed($host), $this->port, $this->path, null);
    }

    private static function parse(string $key, string $dsn): ?self
    {
        if (self::isOff($dsn)) {
            return null;
        }
        if (str_starts_with($dsn, 'unix:')) {
            $socket = preg_replace('~^unix:(//)?~', '', $dsn);
            if (!str_starts_with($socket, '/')) {
                throw InvalidEndpointException::of(
                    $key,
                    $dsn,
                    'is not the absolute path of a socket. Write for example "unix:/run/orosync/orosync.sock".',
                );
            }

            return new self('unix', '', 0, '', $socket);
        }
        // Without the slashes parse_url() would parse a bare "localhost" as a path.
        $parts = parse_url(str_contains($dsn, '//') ? $dsn : '//' . $dsn);
        if (false === $parts || !isset($parts['host']) || 1 === preg_match('~[\s,]~', $parts['host'])) {
            throw InvalidEndpointException::of(
                $key,
                $dsn,
                'is not an endpoint. '
                . 'Write "//host:port/path" or "unix:/path/to/socket", or leave it empty to switch it off.',
            );
        }
        if (self::isOff($parts['host'])) {
            return null;
        }

        $scheme = strtolower($parts['scheme'] ?? '');

        return new self(
            $scheme,
            $parts['host'],
            self::port($key, (string) ($parts['port'] ?? self::PORTS[$scheme] ?? self::DEFAULT_PORT)),
            trim($parts['path'] ?? '', '/'),
        );
    }

    private static function isOff(string $value): bool
    {
        return '' === $value || 'null' === $value;
    }

    private static function text(mixed $value): string
    {
        return \is_scalar($value) ? trim((string) $value) : '';
    }

    private static function port(string $key, string $port): int
    {
        if (!ctype_digit($port) || \strlen($port) > 5 || (int) $port < 1 || (int) $port > 65535) {
            throw InvalidEndpointException::of($key, $port, 'is not a port. Write a number from 1 to 65535.');
        }

        return (int) $port;
    }

    private static function bracketed(string $host): string
    {
        return str_contains($host, ':') && '[' !== $host[0] ? '[' . $host . ']' : $host;
    }
}
