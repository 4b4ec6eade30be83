<?php

declare(strict_types=1);

namespace Orosync\Session;

use Orosync\Publishing\PublisherInterface;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Ends sessions on the server, which outlive the tickets that opened them. For users who lose rights (a new password or role, a
 * deactivation), and for changes without a security event.
 *
 * Sent like any message: accepted at once, kept while the server is unreachable.
 */
final class SessionTerminator
{
    /** A reserved topic: only publishers may publish to it, and it has no subscribers. */
    private const TOPIC = 'orosync/disconnect';

    private const ROLES = ['user', 'customer', 'anonymous'];

    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly UserClaimsInterface $users,
        private readonly LoggerInterface $logger,
    ) {
    }

    /**
     * Ends all sessions of a user, in every browser. They are identified by role and id (an integer or a string), or by role
     * and name for a user without an id.
     *
     * @param UserInterface|string $user the user, or the user identifier as in tickets (`sub`)
     * @param string               $role with a user identifier: its role, `user`, `customer` or `anonymous`; a customer may
     *                                   have the name of a user
     *
     * @return bool whether it was accepted; false also for an anonymous user
     */
    public function endSessionsOf(UserInterface|string $user, string $role = 'user'): bool
    {
        if (!\in_array($role, self::ROLES, true)) {
            throw new \InvalidArgumentException(sprintf(
                'There is no role "%s". Roles of tickets: %s.',
                $role,
                implode(', ', self::ROLES),
            ));
        }
        $whose = $user instanceof UserInterface ? $this->whoseAre($user) : ['role' => $role, 'user' => $user];

        return null !== $whose && '' !== ($whose['user'] ?? null) && $this->end($whose);
    }

    /**
     * Ends one session.
     *
     * @param string $id the WAMP session id, which the page knows
     *
     * @return bool whether it was accepted
     */
    public function endSession(string $id): bool
    {
        return $this->end(['session' => $id]);
    }

    /**
     * @return array{role: string, uid: int|string}|array{role: string, user: string}|null null: anonymous, which would match
     *   other users
     */
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

    /** @param array<string, string|int> $whose properties that a session must all match */
    private function end(array $whose): bool
    {
        $accepted = $this->publisher->publish(self::TOPIC, $whose);
        if ($accepted) {
            $this->logger->info('Ending the sessions of {whose}', ['whose' => json_encode($whose)]);
        }

        return $accepted;
    }
}
