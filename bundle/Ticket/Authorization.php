<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Symfony\Component\Security\Core\Authentication\Token\NullToken;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authorization\AccessDecisionManagerInterface;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Http\Authenticator\Token\PostAuthenticationToken;

/** Authorization by the application's voters and role hierarchy. */
final class Authorization
{
    public function __construct(
        private readonly ?TokenStorageInterface $tokens,
        private readonly ?AccessDecisionManagerInterface $manager,
    ) {
    }

    /**
     * Like Symfony's isGranted(), also for users who are not logged in. Always false without the security bundle.
     *
     * @param UserInterface|null $user null: the current user, if any
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
