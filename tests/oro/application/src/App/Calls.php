<?php

declare(strict_types=1);

namespace App;

/** Return values and exceptions of the calls of a step. */
final class Calls implements \JsonSerializable
{
    /** @var array<string, mixed> */
    private array $results = [];

    public function note(string $call, callable $callable): void
    {
        try {
            $value = $callable();
            $this->results[$call] = \is_scalar($value) || null === $value ? $value : get_debug_type($value);
        } catch (\Throwable $e) {
            $this->results[$call] = '!' . $e::class . ': ' . $e->getMessage();
        }
    }

    public function haveFailed(): bool
    {
        return [] !== array_filter($this->results, static fn (mixed $result): bool => str_starts_with((string) $result, '!'));
    }

    public function jsonSerialize(): object
    {
        return (object) $this->results;
    }
}
