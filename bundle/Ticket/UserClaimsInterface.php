<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Says who a user is, to the server (tickets, ended sessions) and to other pages (the author of a change).
 *
 * Replace the service of this name where users are identified otherwise, or where some of them are customers. Both methods
 * say the same of the same user: the sessions that his tickets opened are ended by what claimsOf() says of him.
 */
interface UserClaimsInterface
{
    /**
     * The current user.
     *
     * @return array{sub?: string, uid?: int|string, org?: int, role: 'user'|'customer'|'anonymous', until?: int} `sub` is the
     *         user name, `uid` and `org` the ids of user and organization, `uid` as {@see UserId} has it, `until` when the
     *         login ends (seconds since 1970; left out: not known), after which a page that lost its connection asks for a
     *         ticket again; nobody: the role alone
     */
    public function claims(): array;

    /**
     * Any user, logged in here or not.
     *
     * @return array{sub?: string, uid?: int|string, org?: int, role: 'user'|'customer'|'anonymous', until?: int} likewise
     */
    public function claimsOf(UserInterface $user): array;
}
