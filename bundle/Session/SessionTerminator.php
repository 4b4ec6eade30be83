<?php

declare(strict_types=1);

namespace Orosync\Session;

use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Has the server end sessions, which outlive the tickets that opened them: for where a user loses what he had (a new
 * password or role, a deactivation), and for what the security events do not tell.
 *
 * Sent like any message: accepted at once, kept while the server is away.
 */
final class SessionTerminator
{
    /** Reserved: only publishers reach it, and nobody subscribes to it. */
    private const TOPIC = 'orosync/disconnect';

    private const ROLES = ['user', 'customer', 'anonymous'];

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly UserClaimsInterface $users,
        private readonly LoggerInterface $logger,
    ) {
    }

    /**
     * All sessions of a user, in every browser. Role and id, a number or a text, say whose they are; the name does for a user
     * without an id.
     *
     * @param UserInterface|string $user the user, or the user identifier as it stands in tickets (`sub`)
     * @param string               $role with a user identifier: the role of the one who is meant, `user`, `customer` or
     *                                   `anonymous`; customers may be called as users are
     *
     * @return bool whether it was accepted; false also for a user who is nobody in particular
     */
    public function endSessionsOf(UserInterface|string $user, string $role = 'user'): bool
    {
        if (!\in_array($role, self::ROLES, true)) {
            throw new \InvalidArgumentException(sprintf(
                'There is no role "%s". Those of tickets are: %s.',
                $role,
                implode(', ', self::ROLES),
            ));
        }
        $whose = $user instanceof UserInterface ? $this->whoseAre($user) : ['role' => $role, 'user' => $user];

        return null !== $whose && '' !== ($whose['user'] ?? null) && $this->end($whose);
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
        return $this->end(['session' => $id]);
    }

    /** @return array{role: string, uid: int|string}|array{role: string, user: string}|null null: anybody could be meant */
    private function whoseAre(UserInterface $user): ?array
    {
        $claims = $this->users->claimsOf($user);

        return match (true) {
            'anonymous' === $claims['role'] => null,
            isset($claims['uid']) => ['role' => $claims['role'], 'uid' => $claims['uid']],
            isset($claims['sub']) => ['role' => $claims['role'], 'user' => $claims['sub']],
            default => null,
        };
    }

    /** @param array<string, string|int> $whose all of it must fit a session */
    private function end(array $whose): bool
    {
        $accepted = $this->publisher->publish(self::TOPIC, $whose);
        if ($accepted) {
            $this->logger->info('The server is told to end the sessions of {whose}', ['whose' => json_encode($whose)]);
        }

        return $accepted;
    }
}
