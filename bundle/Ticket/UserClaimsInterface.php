<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

/**
 * The identity of a user for the server (tickets, ended sessions) and for other pages (the author of a change).
 *
 * Replace the service of this name if users are identified in another way. Both methods must return the same identity for the
 * same user: sessions opened with tickets of claims() are ended by the identity of claimsOf().
 */
interface UserClaimsInterface
{
    /**
     * The claims of the current user.
     *
     * @return array{sub?: string, uid?: int|string, org?: int, role: 'user'|'customer'|'anonymous', until?: int} `sub`: the
     *   user name; `uid`: the user id, in the form of {@see UserId}; `org`: the organization id; `until`: the end of the login
     *   in seconds since 1970 (optional), after which a page that reconnects requests a new ticket. Nobody logged in: only the
     *   role
     */
    public function claims(): array;

    /**
     * The claims of any user, logged in or not.
     *
     * @return array{sub?: string, uid?: int|string, org?: int, role: 'user'|'customer'|'anonymous', until?: int} as for
     *   claims()
     */
    public function claimsOf(UserInterface $user): array;
}
