<?php

declare(strict_types=1);

namespace App;

use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Twig\Extension\AbstractExtension;
use Twig\TwigFunction;

/** Replaces the Twig function of OroSecurityBundle that Oro's snippets call. */
final class SecurityFunctions extends AbstractExtension
{
    public function __construct(private readonly TokenStorageInterface $tokens)
    {
    }

    public function getFunctions(): array
    {
        return [new TwigFunction('is_authenticated', fn (): bool => null !== $this->tokens->getToken()?->getUser())];
    }
}
