<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Endpoint\BackendEndpoint;
use Orosync\Entry\Guard;
use Orosync\Ticket\TicketIssuerInterface;
use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Chooses the publisher at run time, not when the container is built: deployments often build it with another PHP than the one
 * that serves pages.
 */
final class PublisherFactory
{
    /** Time limit at the end of a command, in seconds. */
    private const SETTLE_SECONDS = 0.25;

    private ExtensionPublisher|UnavailablePublisher|null $publisher = null;

    /**
     * @param \Closure(): BackendEndpoint $backend
     * @param \Closure(): SharedSecret    $secret
     * @param string                      $directory directory for the state of {@see OutageLog}
     * @param string|null                 $caFile    the only certificate authorities for the server; null: those of php.ini
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

    /** Returns the publisher, which signs with the same secret. */
    public function ticketIssuer(): TicketIssuerInterface
    {
        return $this->publisher ??= $this->choose();
    }

    /** Reports at the end of a command. Waits for acknowledgements first, because no later request would report them. */
    public function onConsoleTerminate(): void
    {
        $publisher = $this->publisher;
        if ($publisher instanceof ExtensionPublisher) {
            $this->guard->run(
                'The messages refused by the server were not logged',
                static fn () => $publisher->settle(self::SETTLE_SECONDS),
            );
        }
        $this->reportOutage();
    }

    /** Calls {@see ExtensionPublisher::reportOutage()} if this request has published through it. */
    public function reportOutage(): void
    {
        if ($this->publisher instanceof ExtensionPublisher) {
            $this->guard->run('The state of the connection was not logged', $this->publisher->reportOutage(...));
        }
    }

    private function choose(): ExtensionPublisher|UnavailablePublisher
    {
        try {
            $endpoint = ($this->backend)()->resolve();
            if (null === $endpoint) {
                return $this->unavailable(LogLevel::INFO, 'the backend endpoint is empty, which switches them off.');
            }
            if (!\extension_loaded('orosync')) {
                return $this->unavailable(LogLevel::ERROR, sprintf(
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
            // An invalid setting or a missing environment variable: nothing is published, everything else works.
            return $this->unavailable(LogLevel::ERROR, $e->getMessage());
        }
    }

    private function unavailable(string $level, string $reason): UnavailablePublisher
    {
        // One log per cause: the extension may be missing only in the console or only in the web server.
        return new UnavailablePublisher($reason, $level, $this->log('unavailable-' . \PHP_SAPI));
    }

    private function log(string $outage): OutageLog
    {
        return new OutageLog($this->directory . '/' . $outage, $this->logger);
    }
}
