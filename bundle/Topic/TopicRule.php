<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** One `[[topics]]` entry of the server's configuration. */
final class TopicRule
{
    /**
     * @param string $subscribe `anyone`, `customer`, `user`, `owner`, `granted`, `nobody`, or `role:` and a comma-separated
     *   list of roles
     * @param string $origin    source of the rule, for a comment in the file
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
