<?php

declare(strict_types=1);

namespace Orosync\Session;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;

/**
 * Ends the sessions of a user who logs out, or whom Symfony logs out because the password or the roles have changed. Symfony
 * notices that at the user's next request; code that knows it earlier calls {@see SessionTerminator}.
 */
final class SecurityListener
{
    private const LOST = 'The websocket sessions of a logged-out user continue until their pages are closed or '
        . 'SessionTerminator::endSessionsOf() is called';

    /** @param \Closure(): SessionTerminator $sessions */
    public function __construct(
        private readonly \Closure $sessions,
        private readonly Guard $guard,
    ) {
    }

    public function onLogout(LogoutEvent $event): void
    {
        $this->end($event->getToken());
    }

    public function onDeauthenticated(TokenDeauthenticatedEvent $event): void
    {
        $this->end($event->getOriginalToken());
    }

    private function end(?TokenInterface $token): void
    {
        $user = $token?->getUser();
        // Symfony 5.4 has anonymous tokens whose user is a string.
        if ($user instanceof UserInterface) {
            $this->guard->run(self::LOST, fn (): bool => ($this->sessions)()->endSessionsOf($user), false);
        }
    }
}
