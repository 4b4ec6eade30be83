<?php

declare(strict_types=1);

namespace Orosync\Notifier;

use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Symfony\Component\Notifier\Channel\ChannelInterface;
use Symfony\Component\Notifier\Notification\Notification;
use Symfony\Component\Notifier\Recipient\RecipientInterface;

/**
 * The channel "orosync": a notification is in the open pages of its recipient at once, and nowhere if there are none.
 *
 * The payload has subject, content, importance and emoji, each a text and perhaps empty. The exception of a
 * notification is for the people who run the application, and stays out.
 */
final class LiveChannel implements ChannelInterface
{
    /**
     * @param \Closure(): PublisherInterface $publisher
     * @param string                         $topic     with {uid} in the place of the user's id
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
                'The channel "orosync" tells users, and %s is none. Send to a %s, or implement %s.',
                get_debug_type($recipient),
                UserRecipient::class,
                UserRecipientInterface::class,
            ));
        }
        // The other channels of the notification come after this one.
        $this->guard->run('A notification is not in the open pages of its recipient', fn (): bool => ($this->publisher)()->publish(
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
