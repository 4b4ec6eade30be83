<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/** Where a browser reaches the server. The host `*` means the host of the page that it shows. */
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
        $request = $this->requests->getMainRequest();

        return new FrontendAddress(
            // Outside of a request (a mail rendered by a worker) there is no page, so no host to take over.
            '*' === $dsn->host ? ($request?->getHost() ?? 'localhost') : $dsn->host,
            $dsn->port,
            $dsn->path,
            match ($dsn->scheme) {
                'wss', 'https' => true,
                'ws', 'http' => false,
                default => null !== $request && self::isSecure($request),
            },
        );
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
