<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * Where a browser reaches the server. The host `*` means the host of the page that it shows; a path alone (`/ws`) is at that
 * page's host, port and scheme.
 */
final class FrontendEndpoint
{
    /** @param array<string, mixed> $settings see {@see Dsn::fromSettings()} */
    public function __construct(
        private readonly array $settings,
        private readonly RequestStack $requests,
    ) {
    }

    /** @return FrontendAddress|null null: switched off */
    public function resolve(): ?FrontendAddress
    {
        $request = $this->requests->getMainRequest();
        $path = $this->settings['dsn'] ?? null;
        if (self::isPath($path)) {
            return self::beside($request, trim($path));
        }
        $dsn = Dsn::fromSettings($this->settings);
        if (null === $dsn) {
            return null;
        }
        if (null !== $dsn->socket) {
            throw InvalidEndpointException::of(
                $this->settings['key'],
                $dsn->socket,
                'is a socket, which no browser can reach. Write the host and port of the proxy in front of it.',
            );
        }

        return new FrontendAddress(
            '*' === $dsn->host ? self::hostOf($request) : $dsn->host,
            $dsn->port,
            $dsn->path,
            match ($dsn->scheme) {
                'wss', 'https' => true,
                'ws', 'http' => false,
                default => null !== $request && self::isSecure($request),
            },
        );
    }

    /** Whether that is a path alone, on the page's own host, and no {@see Dsn}. */
    public static function isPath(mixed $dsn): bool
    {
        return \is_string($dsn) && 1 === preg_match('~^\s*/(?!/)~', $dsn);
    }

    private static function beside(?Request $request, string $path): FrontendAddress
    {
        $secure = null !== $request && self::isSecure($request);
        $port = (int) ($request?->getPort() ?? 80);
        // A request of a proxy that is not trusted looks as if it had come to port 80.
        $port = 80 === $port && $secure ? 443 : $port;

        return new FrontendAddress(self::hostOf($request), $port, trim($path, '/'), $secure);
    }

    /** Outside of a request (a mail rendered by a worker) there is no page, so no host to take over. */
    private static function hostOf(?Request $request): string
    {
        return $request?->getHost() ?? 'localhost';
    }

    /**
     * Oro trusts the header from anybody, and its users rely on that where no trusted proxy is configured. A browser
     * that forges it misleads itself alone.
     */
    private static function isSecure(Request $request): bool
    {
        return $request->isSecure() || 'https' === $request->headers->get('X-Forwarded-Proto');
    }
}
