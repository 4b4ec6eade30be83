<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Tests\Application\Account;
use Orosync\Tests\Application\Organization;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Application\User;
use Orosync\Ticket\UserClaims;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorage;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\InMemoryUser;

final class UserClaimsTest extends TestCase
{
    public function testTheTicketHasTheOrganizationOfTheToken(): void
    {
        $token = new class (new User('ann', 7, new Organization(3)), 'main') extends UsernamePasswordToken {
            public function getOrganization(): Organization
            {
                return new Organization(4);
            }
        };

        self::assertSame(['sub' => 'ann', 'uid' => 7, 'org' => 4, 'role' => 'user'], self::claims($token));
    }

    public function testAUserWithoutAnOrganizationHasNoOrganizationClaim(): void
    {
        self::assertSame(['sub' => 'ann', 'uid' => 7, 'role' => 'user'], self::claims(new UsernamePasswordToken(new User('ann', 7, null), 'main')));
    }

    public function testAUserWithoutAnIdHasOnlyANameClaim(): void
    {
        self::assertSame(['sub' => 'bob', 'role' => 'customer'], self::claims(new UsernamePasswordToken(new InMemoryUser('bob', null), 'main')));
    }

    /** @dataProvider ids */
    #[DataProvider('ids')]
    public function testAnIdIsAnIntegerOrAStringThatATopicCanContain(mixed $id, int|string|null $uid): void
    {
        $tokens = new TokenStorage();
        $tokens->setToken(new UsernamePasswordToken(new Account('ann', $id), 'main'));
        $claims = (new UserClaims($tokens, [Account::class => 'user'], $logger = new RecordingLogger()))->claims();

        self::assertSame($uid, $claims['uid'] ?? null);
        self::assertCount(null === $uid && null !== $id ? 1 : 0, $logger->lines('have ids that cannot be used in topics'));
    }

    public static function ids(): iterable
    {
        $uuid = '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a';
        yield 'an object of symfony/uid' => [Account::uuid($uuid), $uuid];
        yield 'a text' => ['emea.0047', 'emea.0047'];
        yield 'a bigint of Doctrine' => ['7', 7];
        yield 'no number' => ['007', '007'];
        yield 'the longest' => [str_repeat('é', 50), str_repeat('é', 50)];
        yield 'not yet saved' => [null, null];
        yield 'nothing' => ['', null];
        yield 'two segments' => ['a/b', null];
        yield 'a star' => ['*', null];
        yield 'a control character' => ["a\n", null];
        yield 'not UTF-8' => ["caf\xe9", null];
        yield 'too long' => [str_repeat('a', 101), null];
        yield 'below zero' => [-7, null];
        yield 'another type' => [7.5, null];
    }

    public function testWithoutAUserTheClaimsAreAnonymous(): void
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
