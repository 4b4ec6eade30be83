<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/** Announces changed content to all pages. In an Oro application Oro's own sender does so. */
interface TagAnnouncerInterface
{
    /** @param list<string> $tags if empty, nothing is published */
    public function announce(array $tags): void;
}
