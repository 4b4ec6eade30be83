<?php

declare(strict_types=1);

namespace Orosync\Session;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;

/**
 * Ends the sessions of a user who logs out, and of one whom Symfony logs out because he is no longer who he was: password or
 * roles have changed. It notices that at his next request; who knows it earlier asks the {@see SessionTerminator}.
 */
final class SecurityListener
{
    private const LOST = 'The websocket sessions of a user who was logged out go on until their pages are left, or until '
        . 'SessionTerminator::endSessionsOf() ends them';

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
        // Symfony 5.4 still has anonymous tokens, whose user is a string.
        if ($user instanceof UserInterface) {
            $this->guard->run(self::LOST, fn (): bool => ($this->sessions)()->endSessionsOf($user), false);
        }
    }
}
