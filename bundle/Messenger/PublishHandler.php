<?php

declare(strict_types=1);

namespace Orosync\Messenger;

use Orosync\Publishing\MessageForm;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\UnsendableMessageException;
use Orosync\Topic\DeclaredTopics;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

/**
 * Publishes, and returns when the server has acknowledged: only then may the worker acknowledge to its transport.
 *
 * A flush for each message rather than one when the worker stops: a worker that is killed right after a message
 * has nothing left that only it knows. It costs a round trip to the server. What is tried again may arrive twice, if the
 * first acknowledgement came late: a queue promises at least once. While the link is known to be down nothing more is
 * handed to it, so that an outage leaves at most one second copy per worker.
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
        $complaint = $this->topics->complaint($message->topic);
        if (null !== $complaint) {
            throw self::never($message, $complaint);
        }
        $status = $this->publisher->status();
        if ('waiting' === $status->state || 'refused' === $status->state) {
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
            throw self::never($message, rtrim('the server delivers it to nobody: ' . $refusal, '.'));
        }
    }

    /** What has no form to be sent in today has none tomorrow; all else may change. */
    private function refused(Publish $message): \RuntimeException
    {
        try {
            MessageForm::encode($message->topic, $message->payload);
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
