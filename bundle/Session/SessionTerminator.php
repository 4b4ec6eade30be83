<?php

declare(strict_types=1);

namespace Orosync\Session;

use Orosync\Publishing\PublisherInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Has the server end sessions, which outlive the tickets that opened them: for where a user loses what he had (a new
 * password or role, a deactivation), and for what the security events do not tell.
 *
 * Sent like any message: accepted at once, kept while the server is away. The browser is not to come back by itself; its
 * next page does, with what the user may then have.
 */
final class SessionTerminator
{
    /** Reserved: only publishers reach it, and nobody subscribes to it. */
    private const TOPIC = 'orosync/disconnect';

    public function __construct(private readonly PublisherInterface $publisher)
    {
    }

    /**
     * All sessions of a user, in every browser.
     *
     * @param UserInterface|string $user the user, or the user identifier as it stands in tickets (`sub`)
     *
     * @return bool whether it was accepted
     */
    public function endSessionsOf(UserInterface|string $user): bool
    {
        $name = $user instanceof UserInterface ? $user->getUserIdentifier() : $user;

        return '' !== $name && $this->publisher->publish(self::TOPIC, ['user' => $name]);
    }

    /**
     * One session.
     *
     * @param string $id the WAMP session id, which the page knows
     *
     * @return bool whether it was accepted
     */
    public function endSession(string $id): bool
    {
        return $this->publisher->publish(self::TOPIC, ['session' => $id]);
    }
}
