<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Endpoint\BackendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Ticket\TicketIssuerInterface;
use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Chooses the publisher when the first one is asked for, not when the container is built: the container of a deployment
 * is often built by another PHP than the one that serves pages.
 */
final class PublisherFactory
{
    private ExtensionPublisher|AbsentPublisher|null $publisher = null;

    public function __construct(
        private readonly BackendEndpoint $backend,
        private readonly SharedSecret $secret,
        private readonly LoggerInterface $logger,
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

    private function choose(): ExtensionPublisher|AbsentPublisher
    {
        try {
            $endpoint = $this->backend->resolve();
            if (null === $endpoint) {
                return new AbsentPublisher('the backend endpoint is empty, which switches them off.', $this->logger, LogLevel::INFO);
            }
            if (!\extension_loaded('orosync')) {
                return new AbsentPublisher(sprintf('the PHP extension "orosync" is not loaded (%s). Install it and add "extension=orosync" to this PHP\'s configuration.', \PHP_SAPI), $this->logger);
            }

            return new ExtensionPublisher($endpoint, $this->secret->forPublisher(), $this->logger);
        } catch (InvalidEndpointException|MissingSecretException $e) {
            return new AbsentPublisher($e->getMessage(), $this->logger, LogLevel::ERROR);
        }
    }
}
