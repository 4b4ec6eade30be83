<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;
use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\Entry\Guard;

/** Announces tags through Oro's own sender, which adds the author. */
final class OroTagAnnouncer implements TagAnnouncerInterface
{
    /** Tags per message. Even with long class names they stay well below the message limit of 1 MiB. */
    private const TAGS_PER_MESSAGE = 1000;

    public function __construct(
        private readonly DataUpdateTopicSender $sender,
        private readonly Guard $guard,
    ) {
    }

    public function announce(array $tags): void
    {
        $this->send($tags);
    }

    /**
     * @param list<string> $tags
     *
     * @return bool whether all of them were sent; false for an empty list, like Oro's sender
     */
    public function send(array $tags): bool
    {
        $sent = [] !== $tags;
        // Reindexed: a list with gaps, as Oro may pass it, would be encoded as an object.
        foreach (array_chunk(array_values(array_unique($tags)), self::TAGS_PER_MESSAGE) as $chunk) {
            $sent = $this->guard->run('A change was not announced', fn (): bool => $this->sender->send($chunk), false) && $sent;
        }

        return $sent;
    }
}
