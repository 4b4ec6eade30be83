<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** One `[[topics]]` entry of the server's configuration. */
final class TopicRule
{
    /**
     * @param string $subscribe `anyone`, `customer`, `user`, `owner`, `granted`, `nobody`, or `role:` and roles with commas
     *                          between them
     * @param string $origin    where it comes from, for the one who reads the file
     */
    public function __construct(
        public readonly string $pattern,
        public readonly string $subscribe,
        public readonly string $publish,
        public readonly string $origin = '',
    ) {
    }

    public function allows(self $other): bool
    {
        return $this->subscribe === $other->subscribe && $this->publish === $other->publish;
    }
}
