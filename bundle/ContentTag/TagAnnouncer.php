<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;

/** Tells all pages which content has changed, and by whom: a page ignores the changes of its own user. */
final class TagAnnouncer implements TagAnnouncerInterface
{
    public const TOPIC = 'oro/data/update';

    /** A message may hold 1 MiB; this many tags of long class names stay well below it. */
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
            // An application's own claims, and what is changed is changed: its user must not see an error for it.
            $this->logger->error(
                'Changes are announced without their author: {reason}',
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
