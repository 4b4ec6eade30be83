<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;
use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\Entry\Guard;

/** Announces tags by Oro's own sender, which adds the author as Oro does. */
final class OroTagAnnouncer implements TagAnnouncerInterface
{
    /** A message may hold 1 MiB; this many tags of long class names stay well below it. */
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
     * @return bool whether all of them were sent; false when there are none, as Oro's sender says it
     */
    public function send(array $tags): bool
    {
        $sent = [] !== $tags;
        // A list in every message: Oro's own can have gaps, which make it an object.
        foreach (array_chunk(array_values(array_unique($tags)), self::TAGS_PER_MESSAGE) as $chunk) {
            $sent = $this->guard->run('A change is not announced', fn (): bool => $this->sender->send($chunk), false) && $sent;
        }

        return $sent;
    }
}
