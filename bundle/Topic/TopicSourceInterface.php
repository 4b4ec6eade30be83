<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Source of the application's topics that are not built into the server. */
interface TopicSourceInterface
{
    public function translation(): Translation;

    /** @return list<string>|null hosts whose pages may connect; null: configured elsewhere */
    public function allowedOrigins(): ?array;
}
