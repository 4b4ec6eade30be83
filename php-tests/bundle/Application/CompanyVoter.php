<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Orosync\Tests\Application\Entity\Company;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authorization\Voter\VoterInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** Grants a company to the user with the same name. */
final class CompanyVoter implements VoterInterface
{
    public function vote(TokenInterface $token, mixed $subject, array $attributes, mixed $vote = null): int
    {
        if ($attributes === ['ROLE_BROKEN']) {
            throw new \DomainException('the directory of roles is unreachable');
        }
        if ($attributes !== ['VIEW'] || !$subject instanceof Company) {
            return self::ACCESS_ABSTAIN;
        }

        $user = $token->getUser();

        // Symfony 5.4 passes a string for an anonymous user.
        return $user instanceof UserInterface && $user->getUserIdentifier() === $subject->name ? self::ACCESS_GRANTED : self::ACCESS_DENIED;
    }
}
