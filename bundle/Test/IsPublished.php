<?php

declare(strict_types=1);

namespace Orosync\Test;

use PHPUnit\Framework\Constraint\Constraint;

/** Asserts that a message was published to a topic and that an optional callable accepts it. */
final class IsPublished extends Constraint
{
    /** @param (callable(mixed, PublishedMessage): bool)|null $accepts receives the payload and the message */
    public function __construct(
        private readonly string $topic,
        private readonly mixed $accepts,
    ) {
    }

    public function toString(): string
    {
        return sprintf(
            'was published to "%s"%s',
            $this->topic,
            null === $this->accepts ? '' : ' with a payload that the test accepts',
        );
    }

    protected function matches(mixed $other): bool
    {
        foreach ($other->messages() as $message) {
            if ($this->topic === $message->topic && $this->isAccepted($message)) {
                return true;
            }
        }

        return false;
    }

    protected function failureDescription(mixed $other): string
    {
        return 'a message ' . $this->toString();
    }

    protected function additionalFailureDescription(mixed $other): string
    {
        return PublishedList::of($other);
    }

    private function isAccepted(PublishedMessage $message): bool
    {
        if (null === $this->accepts) {
            return true;
        }
        $answer = ($this->accepts)($message->payload, $message);

        // A callable without a return value would accept everything or nothing.
        return \is_bool($answer) ? $answer : throw new \LogicException(sprintf(
            'The callable of assertPublished("%s") returned %s. Return true for the expected message, otherwise false.',
            $this->topic,
            get_debug_type($answer),
        ));
    }
}
