<?php

declare(strict_types=1);

namespace Orosync\Notifier;

/** The open pages of one user, as a recipient. */
final class UserRecipient implements UserRecipientInterface
{
    private readonly int|string $userId;

    /** @param int|string|\Stringable $userId the result of the user's getId(), such as a UUID of Symfony's Uid component */
    public function __construct(int|string|\Stringable $userId)
    {
        $this->userId = $userId instanceof \Stringable ? (string) $userId : $userId;
    }

    public function getUserId(): int|string
    {
        return $this->userId;
    }
}
