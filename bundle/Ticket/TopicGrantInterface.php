<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Topic\TopicPattern;
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
     * @return iterable<string|TopicPattern> a string is one topic to the letter, such as `acme/project/7`; many at once
     *         are a pattern, such as `new TopicPattern('acme/import/{id:int}')`
     */
    public function topicsFor(UserInterface $user): iterable;
}
