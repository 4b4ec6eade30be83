<?php

declare(strict_types=1);

namespace Orosync\Notifier;

use Symfony\Component\Notifier\Recipient\RecipientInterface;

/** A recipient with open pages. An application's mail recipient may implement it too. */
interface UserRecipientInterface extends RecipientInterface
{
    /** The user id in this user's tickets, {@see \Orosync\Ticket\UserClaimsInterface}. */
    public function getUserId(): int|string;
}
