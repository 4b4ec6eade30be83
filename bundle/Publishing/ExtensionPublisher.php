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
 * Publishes through the native extension, which keeps one connection per PHP process across requests.
 *
 * The only file of the bundle that names the extension's classes. Owns nothing but the handle: queue, thread and
 * connection are the extension's, bounded by `orosync.queue_messages` and `orosync.queue_bytes` in php.ini.
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
            // This message's own fault: it says nothing about the next one.
            $this->logger->error(
                'A message to {topic} cannot be sent: {reason}',
                ['topic' => $topic, 'reason' => $e->getMessage(), 'exception' => $e],
            );

            return false;
        } catch (OrosyncException $e) {
            $this->reportFailure($e);

            return false;
        }
        if (!$accepted) {
            $status = $this->status();
            $this->lostMessages->met(
                LogLevel::ERROR,
                'The queue of live notifications is full ({queued} wait, {unacknowledged} are unacknowledged): '
                . 'new ones are dropped until {endpoint} takes them again. Last error: {last_error}',
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
            return new PublisherStatus(PublisherStatus::ABSENT, $this->endpoint, lastError: $e->getMessage());
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
     * Does the server answer, and does it accept us? It is asked, over the connection that there is or over a new one.
     *
     * @param float $timeout seconds
     */
    public function check(float $timeout): bool
    {
        try {
            return $this->extension()->check($timeout);
        } catch (ConfigurationException) {
            // status() says why.
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
     * Tell the log once when the connection is lost, and when it is back; and of topics that the server does not have. For the
     * end of a request, when nobody waits: what was accepted meanwhile is kept and sent.
     */
    public function reportOutage(): void
    {
        if (null === $this->publisher) {
            return;
        }
        $status = $this->status();
        $this->refusals->met($status->refusals);
        if ('refused' === $status->state) {
            $this->lostConnection->met(
                LogLevel::ERROR,
                'The server of live notifications at {endpoint} refuses this application ({last_error}). '
                . 'Messages wait and are sent when it no longer does.',
                ['endpoint' => $status->endpoint, 'last_error' => $status->lastError ?? 'no reason is known'],
            );
        } elseif ('waiting' === $status->state) {
            $this->lostConnection->met(
                LogLevel::ERROR,
                'The server of live notifications does not answer at {endpoint} ({last_error}). '
                . 'Messages wait and are sent when it is back.',
                ['endpoint' => $status->endpoint, 'last_error' => $status->lastError ?? 'no error'],
            );
        } elseif ('connected' === $status->state) {
            $context = ['endpoint' => $status->endpoint];
            $this->lostConnection->over('The server of live notifications answers again at {endpoint}.', $context);
            $this->lostMessages->over('Live notifications are sent again to {endpoint}.', $context);
        }
    }

    /** Wait, within a bound, for what the server says of the messages of a script that ends: it waits for that anyway. */
    public function settle(float $timeout): void
    {
        $status = null === $this->publisher ? null : $this->status();
        if (null !== $status && $status->isOnItsWay()) {
            $this->flush($timeout);
        }
    }

    /** Built at the first use: a request that publishes nothing pays nothing. */
    private function extension(): Publisher
    {
        return $this->publisher ??= new Publisher($this->endpoint, $this->options);
    }

    private function reportFailure(OrosyncException $e): void
    {
        $this->lostMessages->met(
            LogLevel::ERROR,
            'Live notifications are not sent: {reason}',
            ['reason' => $e->getMessage(), 'exception' => $e],
        );
    }
}
