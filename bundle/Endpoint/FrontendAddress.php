<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** The address to which the browser of a page connects. */
final class FrontendAddress
{
    public function __construct(
        public readonly string $host,
        public readonly int $port,
        public readonly string $path,
        public readonly bool $secure,
    ) {
    }

    public function url(): string
    {
        return sprintf('%s://%s:%d/%s', $this->secure ? 'wss' : 'ws', $this->host, $this->port, $this->path);
    }
}
