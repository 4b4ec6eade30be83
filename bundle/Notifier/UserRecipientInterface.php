<?php

declare(strict_types=1);

namespace Orosync\Notifier;

use Symfony\Component\Notifier\Recipient\RecipientInterface;

/** A recipient whose open pages can be told; also for the recipient that an application mails to. */
interface UserRecipientInterface extends RecipientInterface
{
    /** The id that is in this user's tickets, {@see \Orosync\Ticket\UserClaimsInterface}. */
    public function getUserId(): int|string;
}
