<?php

declare(strict_types=1);

namespace Orosync\Messenger;

use Orosync\Publishing\MessageEncoder;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\UnsendableMessageException;
use Orosync\Topic\DeclaredTopics;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

/**
 * Publishes a message and waits for the server's acknowledgement, so that the worker acknowledges to its transport only then.
 *
 * It flushes after each message, which costs a round trip to the server, so that a worker that is killed afterwards loses
 * nothing. A retried message may arrive twice if the first acknowledgement was late: delivery is at least once. While the link
 * is known to be down, nothing is handed to it, so an outage causes at most one duplicate per worker.
 */
final class PublishHandler
{
    private const FLUSH_SECONDS = 5.0;

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly DeclaredTopics $topics = new DeclaredTopics(),
    ) {
    }

    public function __invoke(Publish $message): void
    {
        $problem = $this->topics->problem($message->topic);
        if (null !== $problem) {
            throw self::never($message, $problem);
        }
        $status = $this->publisher->status();
        if ('backing-off' === $status->state || 'refused' === $status->state) {
            throw $this->notPublished($message, 'the server does not answer');
        }
        $accepted = $this->publisher->publish(
            $message->topic,
            $message->payload,
            $message->exclude,
            $message->eligible,
        );
        if (!$accepted) {
            throw $this->refused($message);
        }
        if (!$this->publisher->flush(self::FLUSH_SECONDS)) {
            throw $this->notPublished($message, sprintf('no acknowledgement within %.0f seconds', self::FLUSH_SECONDS));
        }
        $refusal = $this->publisher->status()->newRefusal($message->topic, $status);
        if (null !== $refusal) {
            throw self::never($message, rtrim('the server does not deliver it: ' . $refusal, '.'));
        }
    }

    /** An invalid message never becomes valid, so it is not retried; every other cause may go away. */
    private function refused(Publish $message): \RuntimeException
    {
        try {
            MessageEncoder::encode($message->topic, $message->payload);
        } catch (UnsendableMessageException $e) {
            return self::never($message, $e->getMessage(), $e);
        }

        return $this->notPublished($message, 'it was not accepted');
    }

    private static function never(Publish $message, string $why, ?\Throwable $e = null): UnrecoverableMessageHandlingException
    {
        return new UnrecoverableMessageHandlingException(
            sprintf('A message to "%s" can never be sent: %s.', $message->topic, $why),
            0,
            $e,
        );
    }

    private function notPublished(Publish $message, string $why): NotPublishedException
    {
        $status = $this->publisher->status();
        $why = 'refused' === $status->state ? 'the server refuses this application' : $why;

        return new NotPublishedException(sprintf(
            'A message to "%s" is not published yet: %s (link "%s" to %s, last error: %s).',
            $message->topic,
            $why,
            $status->state,
            '' === $status->endpoint ? 'nowhere' : $status->endpoint,
            $status->lastError ?? 'none',
        ));
    }
}
