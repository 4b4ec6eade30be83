<?php

declare(strict_types=1);

namespace Orosync\Test;

use PHPUnit\Framework\Constraint\Constraint;

/** Asserts that no message was published, or none to one topic. */
final class NothingPublished extends Constraint
{
    public function __construct(private readonly ?string $topic)
    {
    }

    public function toString(): string
    {
        return 'nothing was published' . (null === $this->topic ? '' : sprintf(' to "%s"', $this->topic));
    }

    protected function matches(mixed $other): bool
    {
        foreach ($other->messages() as $message) {
            if (null === $this->topic || $this->topic === $message->topic) {
                return false;
            }
        }

        return true;
    }

    protected function failureDescription(mixed $other): string
    {
        return $this->toString();
    }

    protected function additionalFailureDescription(mixed $other): string
    {
        return PublishedList::of($other);
    }
}
