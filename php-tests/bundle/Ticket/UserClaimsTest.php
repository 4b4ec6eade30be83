<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Tests\Application\Organization;
use Orosync\Tests\Application\User;
use Orosync\Ticket\UserClaims;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorage;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\InMemoryUser;

final class UserClaimsTest extends TestCase
{
    public function testTheOrganizationOfTheTokenIsTheOneTheUserWorksIn(): void
    {
        $token = new class (new User('ann', 7, new Organization(3)), 'main') extends UsernamePasswordToken {
            public function getOrganization(): Organization
            {
                return new Organization(4);
            }
        };

        self::assertSame(['sub' => 'ann', 'uid' => 7, 'org' => 4, 'role' => 'user'], self::claims($token));
    }

    public function testAUserWithoutAnOrganizationHasNone(): void
    {
        self::assertSame(['sub' => 'ann', 'uid' => 7, 'role' => 'user'], self::claims(new UsernamePasswordToken(new User('ann', 7, null), 'main')));
    }

    public function testAUserWithoutANumberHasANameOnly(): void
    {
        self::assertSame(['sub' => 'bob', 'role' => 'customer'], self::claims(new UsernamePasswordToken(new InMemoryUser('bob', null), 'main')));
    }

    public function testNobodyIsAnonymous(): void
    {
        self::assertSame(['role' => 'anonymous'], self::claims(null));
        self::assertSame(['role' => 'anonymous'], (new UserClaims(null, [], new NullLogger()))->claims());
    }

    private static function claims(?TokenInterface $token): array
    {
        $tokens = new TokenStorage();
        $tokens->setToken($token);

        return (new UserClaims($tokens, [User::class => 'user', InMemoryUser::class => 'customer'], new NullLogger()))->claims();
    }
}
