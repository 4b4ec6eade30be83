<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Psr\Log\NullLogger;

/**
 * Whether messages can be published and pages can connect, from the state of this process. No I/O.
 *
 * True also while the server does not answer: messages wait for it, and pages that are rendered meanwhile connect later. False
 * without the extension, a secret or an endpoint.
 */
final class OrosyncConnectionChecker extends ConnectionChecker
{
    /** @param \Closure(): PublisherInterface $publisher */
    public function __construct(
        private readonly \Closure $publisher,
        private readonly Guard $guard,
    ) {
        $this->logger = new NullLogger();
    }

    public function checkConnection(): bool
    {
        return $this->isConfigured();
    }

    public function isConfigured(): bool
    {
        return $this->guard->run(
            'Nothing is published, and pages do not connect',
            fn (): bool => ($this->publisher)()->status()->accepts(),
            false,
        );
    }

    /** Does nothing: no result is cached. */
    public function reset(): void
    {
    }
}
