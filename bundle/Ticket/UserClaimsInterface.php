<?php

declare(strict_types=1);

namespace Orosync\Ticket;

/**
 * Says who the current user is, to the server (tickets) and to other pages (the author of a change).
 *
 * Replace the service of this name where users are identified otherwise, or where some of them are customers.
 */
interface UserClaimsInterface
{
    /**
     * @return array{sub?: string, uid?: int, org?: int, role: 'user'|'customer'|'anonymous'} `sub` is the user name,
     *         `uid` and `org` the ids of user and organization; nobody: the role alone
     */
    public function claims(): array;
}
