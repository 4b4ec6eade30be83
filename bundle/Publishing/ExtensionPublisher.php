<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Orosync\Exception\ConfigurationException;
use Orosync\Exception\EncodingException;
use Orosync\Exception\OrosyncException;
use Orosync\Publisher;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;
use Psr\Log\LoggerInterface;
use Psr\Log\LogLevel;

/**
 * Publishes through the extension, which keeps one connection per PHP process across requests.
 *
 * The only file of the bundle that names the extension's classes. Owns only the handle; queue, thread and connection belong to
 * the extension. Bounds: `orosync.queue_messages` and `orosync.queue_bytes` in php.ini.
 */
final class ExtensionPublisher implements PublisherInterface, TicketIssuerInterface
{
    private ?Publisher $publisher = null;

    /** @param array{secret?: string, secret_file?: string, ca_file?: string} $options */
    public function __construct(
        private readonly string $endpoint,
        #[\SensitiveParameter]
        private readonly array $options,
        private readonly OutageLog $lostConnection,
        private readonly OutageLog $lostMessages,
        private readonly RefusalLog $refusals,
        private readonly LoggerInterface $logger,
    ) {
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        try {
            $options = array_filter(['exclude' => $exclude, 'eligible' => $eligible]);
            $accepted = $this->extension()->publish($topic, $payload, $options);
        } catch (EncodingException $e) {
            // This message is invalid; others are unaffected.
            $this->logger->error(
                'A message to {topic} is invalid: {reason}',
                ['topic' => $topic, 'reason' => $e->getMessage(), 'exception' => $e],
            );

            return false;
        } catch (OrosyncException $e) {
            $this->reportFailure($e);

            return false;
        }
        if (!$accepted) {
            $status = $this->status();
            $this->lostMessages->affected(
                LogLevel::ERROR,
                'The queue of live notifications is full ({queued} queued, {unacknowledged} unacknowledged): '
                . 'new ones are dropped until {endpoint} accepts them again. Last error: {last_error}',
                [
                    'queued' => $status->queued,
                    'unacknowledged' => $status->unacknowledged,
                    'endpoint' => $status->endpoint,
                    'last_error' => $status->lastError ?? 'none',
                ],
            );
        }

        return $accepted;
    }

    public function flush(float $timeout = 1.0): bool
    {
        try {
            return $this->extension()->flush($timeout);
        } catch (OrosyncException $e) {
            $this->reportFailure($e);

            return false;
        }
    }

    public function status(): PublisherStatus
    {
        try {
            $status = $this->extension()->status();
            $refusals = $this->extension()->refusals();
        } catch (ConfigurationException $e) {
            return new PublisherStatus(PublisherStatus::UNAVAILABLE, $this->endpoint, lastError: $e->getMessage());
        }

        return new PublisherStatus(
            $status['state'],
            $status['endpoint'],
            $status['queued'],
            $status['unacknowledged'],
            $status['accepted'],
            $status['acknowledged'],
            $status['refused'],
            $status['reconnects'],
            $status['last_error'],
            $refusals,
        );
    }

    /**
     * Whether the server answers and accepts the secret. Asks over the existing connection, or opens one.
     *
     * @param float $timeout seconds
     */
    public function check(float $timeout): bool
    {
        try {
            return $this->extension()->check($timeout);
        } catch (ConfigurationException) {
            // status() contains the reason.
            return false;
        }
    }

    public function issue(array $claims, int $ttl): string
    {
        try {
            return $this->extension()->ticket($claims, $ttl);
        } catch (OrosyncException $e) {
            throw new TicketUnavailableException($e->getMessage(), 0, $e);
        }
    }

    /**
     * Logs the loss and the return of the connection once each, and refused topics. Call it at the end of a request, after the
     * response.
     */
    public function reportOutage(): void
    {
        if (null === $this->publisher) {
            return;
        }
        $status = $this->status();
        $this->refusals->record($status->refusals);
        if ('refused' === $status->state) {
            $this->lostConnection->affected(
                LogLevel::ERROR,
                'The server of live notifications at {endpoint} refuses this application ({last_error}). '
                . 'Messages are kept and sent once it accepts them.',
                ['endpoint' => $status->endpoint, 'last_error' => $status->lastError ?? 'no reason is known'],
            );
        } elseif ('backing-off' === $status->state) {
            $this->lostConnection->affected(
                LogLevel::ERROR,
                'The server of live notifications does not answer at {endpoint} ({last_error}). '
                . 'Messages are kept and sent once it answers.',
                ['endpoint' => $status->endpoint, 'last_error' => $status->lastError ?? 'no error'],
            );
        } elseif ('connected' === $status->state) {
            $context = ['endpoint' => $status->endpoint];
            $this->lostConnection->resolved('The server of live notifications answers again at {endpoint}.', $context);
            $this->lostMessages->resolved('Live notifications reach the server at {endpoint} again.', $context);
        }
    }

    /** Waits up to `$timeout` seconds for acknowledgements at the end of a script, which would wait for them anyway. */
    public function settle(float $timeout): void
    {
        $status = null === $this->publisher ? null : $this->status();
        if (null !== $status && $status->isInFlight()) {
            $this->flush($timeout);
        }
    }

    /** Created on first use, so that a request without messages pays nothing. */
    private function extension(): Publisher
    {
        return $this->publisher ??= new Publisher($this->endpoint, $this->options);
    }

    private function reportFailure(OrosyncException $e): void
    {
        $this->lostMessages->affected(
            LogLevel::ERROR,
            'Live notifications are not sent: {reason}',
            ['reason' => $e->getMessage(), 'exception' => $e],
        );
    }
}
