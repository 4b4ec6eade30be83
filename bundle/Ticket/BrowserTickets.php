<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Issues browser tickets: the user's identity, granted topics, the roles that declared topics name, and the allowed origins.
 *
 * Grants that do not fit in a ticket are left out and logged with the service that gave them.
 */
final class BrowserTickets
{
    /** Maximum number of grants that are tried one by one after all together were refused. */
    private const MAX_TRIED = 100;

    /** @param int $ttl seconds until an unused ticket expires */
    public function __construct(
        private readonly TicketIssuerInterface $tickets,
        private readonly UserClaimsInterface $users,
        private readonly TopicGrants $grants,
        private readonly VotedTopics $voted,
        private readonly RolesClaim $roles,
        private readonly TicketOriginsInterface $origins,
        private readonly Guard $guard,
        private readonly int $ttl,
    ) {
    }

    /**
     * @param list<string> $requested topics of the page; voters decide about some of them
     *
     * @throws TicketUnavailableException
     */
    public function forCurrentUser(array $requested = []): string
    {
        return $this->issue(
            $this->users->claims() + $this->roles->claim(null),
            [...$this->voted->of($requested), ...$this->grants->forCurrentUser()],
        );
    }

    /** @throws TicketUnavailableException */
    public function forUser(?UserInterface $user): string
    {
        return null === $user
            ? $this->issue(['role' => 'anonymous'], [])
            : $this->issue($this->users->claimsOf($user) + $this->roles->claim($user), $this->grants->forUser($user));
    }

    /** Whether tickets depend on the topics in the request. */
    public function dependOnTopics(): bool
    {
        return $this->voted->areDeclared();
    }

    /**
     * @param array<string, mixed> $claims
     * @param list<Grant>          $grants
     */
    private function issue(array $claims, array $grants): string
    {
        $claims += $this->origins->claim();
        try {
            return $this->issueWith($grants, $claims);
        } catch (TicketUnavailableException $e) {
            if ([] === $grants) {
                throw $e;
            }
        }

        return $this->issueWithWhatFits($grants, $claims);
    }

    /**
     * @param list<Grant>          $grants
     * @param array<string, mixed> $claims
     */
    private function issueWithWhatFits(array $grants, array $claims): string
    {
        $ticket = $this->issueWith([], $claims);
        $fitting = [];
        $refused = [];
        foreach ($grants as $index => $grant) {
            try {
                $ticket = $index < self::MAX_TRIED
                    ? $this->issueWith([...$fitting, $grant], $claims)
                    : throw new TicketUnavailableException(sprintf('at most %d grants are tried', self::MAX_TRIED));
                $fitting[] = $grant;
            } catch (TicketUnavailableException $e) {
                $refused[$grant->by] ??= ['count' => 0, 'first' => $grant->display(), 'reason' => $e];
                ++$refused[$grant->by]['count'];
            }
        }
        foreach ($refused as $by => ['count' => $count, 'first' => $first, 'reason' => $e]) {
            $lost = sprintf('A ticket was issued without %d of the topics granted by %s; the first is %s', $count, $by, $first);
            $this->guard->note($lost, $e);
        }

        return $ticket;
    }

    /**
     * @param list<Grant>          $grants
     * @param array<string, mixed> $claims
     */
    private function issueWith(array $grants, array $claims): string
    {
        foreach ($grants as $grant) {
            $claims[$grant->claim][] = $grant->text;
        }

        return $this->tickets->issue($claims, $this->ttl);
    }
}
