<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\Authentication\Token\NullToken;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authorization\AccessDecisionManagerInterface;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Http\Authenticator\Token\PostAuthenticationToken;

/** What the application's voters say, the role hierarchy included. */
final class Decisions
{
    public function __construct(
        private readonly ?TokenStorageInterface $tokens,
        private readonly ?AccessDecisionManagerInterface $manager,
    ) {
    }

    /**
     * As Symfony's isGranted(), also for somebody who is not logged in here. Nothing is granted without the security bundle.
     *
     * @param UserInterface|null $user null: the current one, or nobody
     */
    public function isGranted(?UserInterface $user, string $attribute, ?object $subject = null): bool
    {
        return null !== $this->manager && $this->manager->decide($this->tokenOf($user), [$attribute], $subject);
    }

    private function tokenOf(?UserInterface $user): TokenInterface
    {
        $current = $this->tokens?->getToken();

        return null === $user || $current?->getUser() === $user
            ? $current ?? new NullToken()
            : new PostAuthenticationToken($user, 'orosync', $user->getRoles());
    }
}
