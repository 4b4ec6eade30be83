<?php

declare(strict_types=1);

namespace Orosync\Notifier;

/** The open pages of one user. */
final class UserRecipient implements UserRecipientInterface
{
    public function __construct(private readonly int|string $userId)
    {
    }

    public function getUserId(): int|string
    {
        return $this->userId;
    }
}
