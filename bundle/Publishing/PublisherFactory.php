<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Endpoint\BackendEndpoint;
use Orosync\Entry\Guard;
use Orosync\Ticket\TicketIssuerInterface;
use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Chooses the publisher when the first one is asked for, not when the container is built: the container of a deployment
 * is often built by another PHP than the one that serves pages.
 */
final class PublisherFactory
{
    /** Of an end of a command. */
    private const SETTLE_SECONDS = 0.25;

    private ExtensionPublisher|AbsentPublisher|null $publisher = null;

    /**
     * @param \Closure(): BackendEndpoint $backend
     * @param \Closure(): SharedSecret    $secret
     * @param string                      $directory where the log's memory may be kept, {@see OutageLog}
     * @param string|null                 $caFile    who may vouch for the server, alone; null: what php.ini says
     */
    public function __construct(
        private readonly \Closure $backend,
        private readonly \Closure $secret,
        private readonly LoggerInterface $logger,
        private readonly Guard $guard,
        private readonly string $directory,
        private readonly ?string $caFile = null,
    ) {
    }

    public function publisher(): PublisherInterface
    {
        return $this->publisher ??= $this->choose();
    }

    /** The same object: it signs with the publisher's secret. */
    public function ticketIssuer(): TicketIssuerInterface
    {
        return $this->publisher ??= $this->choose();
    }

    /** The same at the end of a command: there is no next request that could tell what the server said last. */
    public function reportAtTheEnd(): void
    {
        $publisher = $this->publisher;
        if ($publisher instanceof ExtensionPublisher) {
            $this->guard->run(
                'The log does not say what the server has refused',
                static fn () => $publisher->settle(self::SETTLE_SECONDS),
            );
        }
        $this->reportOutage();
    }

    /** {@see ExtensionPublisher::reportOutage()}, if this request has published through it. */
    public function reportOutage(): void
    {
        if ($this->publisher instanceof ExtensionPublisher) {
            $this->guard->run('The log does not say whether live notifications arrive', $this->publisher->reportOutage(...));
        }
    }

    private function choose(): ExtensionPublisher|AbsentPublisher
    {
        try {
            $endpoint = ($this->backend)()->resolve();
            if (null === $endpoint) {
                return $this->absent(LogLevel::INFO, 'the backend endpoint is empty, which switches them off.');
            }
            if (!\extension_loaded('orosync')) {
                return $this->absent(LogLevel::ERROR, sprintf(
                    'the PHP extension "orosync" is not loaded (%s). '
                    . 'Install it and add "extension=orosync" to this PHP\'s configuration.',
                    \PHP_SAPI,
                ));
            }

            return new ExtensionPublisher(
                $endpoint,
                ($this->secret)()->forPublisher() + (null === $this->caFile ? [] : ['ca_file' => $this->caFile]),
                $this->log('lost-connection'),
                $this->log('lost-messages'),
                new RefusalLog($this->directory . '/refused-topics', $this->logger),
                $this->logger,
            );
        } catch (\Throwable $e) {
            // A wrong setting, or an environment variable that is not set: nobody is told, and everything else works.
            return $this->absent(LogLevel::ERROR, $e->getMessage());
        }
    }

    private function absent(string $level, string $reason): AbsentPublisher
    {
        // The console may have the extension and the web server not; each is told once.
        return new AbsentPublisher($reason, $level, $this->log('absent-' . \PHP_SAPI));
    }

    private function log(string $outage): OutageLog
    {
        return new OutageLog($this->directory . '/' . $outage, $this->logger);
    }
}
