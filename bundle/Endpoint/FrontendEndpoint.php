<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * The address at which browsers reach the server. The host `*` means the host of the page; a path (`/ws`) uses the host, port
 * and scheme of the page.
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
                'is a socket, which browsers cannot reach. Write the host and port of the proxy in front of it.',
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

    /** Whether the value is only a path on the page's own host, not a {@see Dsn}. */
    public static function isPath(mixed $dsn): bool
    {
        return \is_string($dsn) && 1 === preg_match('~^\s*/(?!/)~', $dsn);
    }

    private static function beside(?Request $request, string $path): FrontendAddress
    {
        $secure = null !== $request && self::isSecure($request);
        $port = (int) ($request?->getPort() ?? 80);
        // A request from an untrusted proxy seems to use port 80.
        $port = 80 === $port && $secure ? 443 : $port;

        return new FrontendAddress(self::hostOf($request), $port, trim($path, '/'), $secure);
    }

    /** Outside a request, such as for a mail rendered by a worker, there is no page and no host. */
    private static function hostOf(?Request $request): string
    {
        return $request?->getHost() ?? 'localhost';
    }

    /**
     * Oro trusts the header from any client, and installations without configured proxies rely on that. A browser that forges
     * it only affects itself.
     */
    private static function isSecure(Request $request): bool
    {
        return $request->isSecure() || 'https' === $request->headers->get('X-Forwarded-Proto');
    }
}
