<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Orosync\Entry\Guard;

/** Announces within a flush or a commit, which must not fail because nobody could be told. */
final class GuardedTagAnnouncer implements TagAnnouncerInterface
{
    /** @param \Closure(): TagAnnouncerInterface $announcer */
    public function __construct(
        private readonly \Closure $announcer,
        private readonly Guard $guard,
    ) {
    }

    public function announce(array $tags): void
    {
        if ([] !== $tags) {
            $this->guard->run('A change is not announced', fn () => ($this->announcer)()->announce($tags));
        }
    }
}
