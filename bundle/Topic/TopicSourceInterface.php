<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Where the topics of an application are told that the server does not have by itself. */
interface TopicSourceInterface
{
    public function translation(): Translation;

    /** @return list<string>|null hosts whose pages may connect; null: that is not said here */
    public function allowedOrigins(): ?array;
}
