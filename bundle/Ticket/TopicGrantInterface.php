<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Grants a user topics that the server's policies leave to the application (`subscribe = "granted"`).
 *
 * Asked when a ticket is minted, so the server need not call PHP when somebody subscribes. A grant holds for the session
 * that the ticket opens. Services that implement it are found by themselves where autoconfiguration is on, else by the
 * tag `orosync.topic_grant`.
 */
interface TopicGrantInterface
{
    /**
     * @return iterable<string> patterns as the server's configuration writes them, such as `acme/project/7` or
     *         `acme/project/7/{room}`
     */
    public function topicsFor(UserInterface $user): iterable;
}
