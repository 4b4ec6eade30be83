<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** The result of translating one route or several. */
final class Translation
{
    /**
     * @param list<TopicRule> $rules    in the order of the routes, because the first match decides
     * @param list<string>    $builtIn  patterns that are built into the server
     * @param list<Finding>   $findings
     */
    public function __construct(
        public readonly array $rules,
        public readonly array $builtIn,
        public readonly array $findings,
    ) {
    }

    public static function join(self ...$parts): self
    {
        $joined = static fn (string $property): array => array_merge(...array_column($parts, $property), ...[[]]);

        return new self($joined('rules'), $joined('builtIn'), $joined('findings'));
    }
}
