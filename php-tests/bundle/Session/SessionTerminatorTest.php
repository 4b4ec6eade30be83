<?php

declare(strict_types=1);

namespace Orosync\Tests\Session;

use Orosync\Session\SessionTerminator;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\RecordingPublisher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\InMemoryUser;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;

final class SessionTerminatorTest extends ApplicationTestCase
{
    private const TOPIC = 'orosync/disconnect';

    public function testTheSessionsOfAUserCanBeEnded(): void
    {
        $this->boot();
        $sessions = $this->kernel()->getContainer()->get(SessionTerminator::class);

        self::assertTrue($sessions->endSessionsOf(new User('ann', 7, null)));
        self::assertFalse($sessions->endSessionsOf(new InMemoryUser('api', null)), 'a class without a role');
        self::assertTrue($sessions->endSessionsOf('bob'));
        self::assertTrue($sessions->endSessionsOf('bob', 'customer'));
        self::assertTrue($sessions->endSession('0123456789abcdef0123456789abcdef'));
        self::assertSame(
            [
                '{"role":"user","uid":7}',
                '{"role":"user","user":"bob"}',
                '{"role":"customer","user":"bob"}',
                '{"session":"0123456789abcdef0123456789abcdef"}',
            ],
            $this->published(),
        );
    }

    public function testAUserWithoutAnIdIsIdentifiedByTheName(): void
    {
        $this->boot(['users' => [User::class => 'user', InMemoryUser::class => 'customer']]);

        self::assertTrue($this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf(new InMemoryUser('api', null)));
        self::assertSame(['{"role":"customer","user":"api"}'], $this->published());
    }

    public function testTheIdentityIsThatOfTheTicketsEvenWithCustomClaims(): void
    {
        $this->boot([], [], ['security', 'doctrine', 'own claims']);
        $this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf(new User('ann', 7, null));

        self::assertSame(['{"role":"customer","uid":12}'], $this->published());
    }

    public function testTheLogNamesTheUser(): void
    {
        $this->boot();
        $this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf(new User('ann', 7, null));

        self::assertCount(1, $this->logger()->lines('info: Ending the sessions of {"role":"user","uid":7}'));
    }

    public function testWithoutAUserNoSessionIsEnded(): void
    {
        $this->boot();
        $sessions = $this->kernel()->getContainer()->get(SessionTerminator::class);

        self::assertFalse($sessions->endSessionsOf(''));
        self::assertFalse($sessions->endSessionsOf('', 'customer'));
        self::assertSame([], $this->published());
    }

    public function testAnUnknownRoleIsRefused(): void
    {
        $this->boot();

        $this->expectExceptionMessage('There is no role "admin". Roles of tickets: user, customer, anonymous.');
        $this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf('bob', 'admin');
    }

    public function testALogoutEndsTheSessions(): void
    {
        $this->boot();
        $token = new UsernamePasswordToken(new User('ann', 7, null), 'main', ['ROLE_USER']);
        $this->dispatcherOfTheFirewall()->dispatch(new LogoutEvent(new Request(), $token));

        self::assertSame(['{"role":"user","uid":7}'], $this->published());
    }

    public function testALogoutWithoutAUserEndsNoSession(): void
    {
        $this->boot();
        $this->dispatcherOfTheFirewall()->dispatch(new LogoutEvent(new Request(), null));

        self::assertSame([], $this->published());
    }

    public function testAChangedPasswordOrRoleEndsTheSessions(): void
    {
        $this->boot();
        $token = new UsernamePasswordToken(new User('ann', 7, null), 'main', ['ROLE_USER']);
        $this->dispatcherOfTheFirewall()->dispatch(new TokenDeauthenticatedEvent($token, new Request()));

        self::assertSame(['{"role":"user","uid":7}'], $this->published());
    }

    public function testTheServiceExistsWithoutTheSecurityBundle(): void
    {
        $this->boot([], [], ['twig']);

        self::assertTrue($this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf('ann'));
    }

    private function dispatcherOfTheFirewall(): object
    {
        return $this->kernel()->getContainer()->get('security.event_dispatcher.main');
    }

    /** @return list<string> */
    private function published(): array
    {
        return $this->kernel()->getContainer()->get(RecordingPublisher::class)->take(self::TOPIC);
    }
}
