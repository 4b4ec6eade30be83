<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Topic\TopicPattern;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Grants topics to a user if the server's policy leaves that to the application (`subscribe = "granted"`).
 *
 * Called when a ticket is issued, so the server never calls PHP for a subscription. A grant applies to the session that the
 * ticket opens. Services that implement it are registered through autoconfiguration, otherwise through the tag
 * `orosync.topic_grant`.
 */
interface TopicGrantInterface
{
    /**
     * @return iterable<string|TopicPattern> a string is one literal topic, such as `acme/project/7`; a TopicPattern matches
     *   several, such as `new TopicPattern('acme/import/{id:int}')`
     */
    public function topicsFor(UserInterface $user): iterable;
}
