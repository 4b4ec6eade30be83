<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Psr\Log\NullLogger;

/**
 * Answers "may something be published, may a page connect?" from what is known in this process: no I/O.
 *
 * Yes while a server that does not answer may come back: a message waits for it, and a page that was rendered meanwhile
 * connects later. No where nothing is configured: without the extension, a secret or an endpoint.
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

    /** There is no answer of an earlier question to forget. */
    public function reset(): void
    {
    }
}
