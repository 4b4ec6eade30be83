<?php

declare(strict_types=1);

namespace Orosync\Notifier;

use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Symfony\Component\Notifier\Channel\ChannelInterface;
use Symfony\Component\Notifier\Notification\Notification;
use Symfony\Component\Notifier\Recipient\RecipientInterface;

/**
 * The channel "orosync": delivers a notification to the open pages of its recipient; without open pages it is lost.
 *
 * Payload: the strings `subject`, `content`, `importance` and `emoji`, which may be empty. The exception of a notification is
 * left out: it is meant for operators.
 */
final class LiveChannel implements ChannelInterface
{
    /**
     * @param \Closure(): PublisherInterface $publisher
     * @param string                         $topic     with {uid} for the user's id
     */
    public function __construct(
        private readonly \Closure $publisher,
        private readonly string $topic,
        private readonly Guard $guard,
    ) {
    }

    public function notify(
        Notification $notification,
        RecipientInterface $recipient,
        ?string $transportName = null,
    ): void {
        if (!$recipient instanceof UserRecipientInterface) {
            throw new \LogicException(sprintf(
                'The channel "orosync" needs a user as the recipient, not %s. Send to a %s, or implement %s.',
                get_debug_type($recipient),
                UserRecipient::class,
                UserRecipientInterface::class,
            ));
        }
        // A failure must not keep the notification's other channels from being used.
        $this->guard->run('A notification was not sent to the open pages of its recipient', fn (): bool => ($this->publisher)()->publish(
            str_replace('{uid}', (string) $recipient->getUserId(), $this->topic),
            [
                'subject' => $notification->getSubject(),
                'content' => $notification->getContent(),
                'importance' => $notification->getImportance(),
                'emoji' => $notification->getEmoji(),
            ],
        ), false);
    }

    public function supports(Notification $notification, RecipientInterface $recipient): bool
    {
        return $recipient instanceof UserRecipientInterface;
    }
}
