<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;

/** Publishes the tags of changed content with the name of the user who changed it: a page ignores changes of its own user. */
final class TagAnnouncer implements TagAnnouncerInterface
{
    public const TOPIC = 'oro/data/update';

    /** Tags per message. Even with long class names they stay well below the message limit of 1 MiB. */
    private const TAGS_PER_MESSAGE = 1000;

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly UserClaimsInterface $user,
        private readonly LoggerInterface $logger,
    ) {
    }

    public function announce(array $tags): void
    {
        if ([] === $tags) {
            return;
        }
        try {
            $username = $this->user->claims()['sub'] ?? null;
        } catch (\Throwable $e) {
            // The application's own claims service failed. The change is saved, so its user must not see an error.
            $this->logger->error(
                'Changes were announced without their author: {reason}',
                ['reason' => $e->getMessage(), 'exception' => $e],
            );
            $username = null;
        }
        foreach (array_chunk(array_unique($tags), self::TAGS_PER_MESSAGE) as $chunk) {
            $this->publisher->publish(self::TOPIC, array_map(
                static fn (string $tag): array => ['username' => $username, 'tagname' => $tag],
                $chunk,
            ));
        }
    }
}
