<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/** Tells all pages which content has changed. Inside an Oro application Oro's own sender does the telling. */
interface TagAnnouncerInterface
{
    /** @param list<string> $tags none: nothing is said */
    public function announce(array $tags): void;
}
