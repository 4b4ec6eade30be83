<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\CustomerBundle\Entity\CustomerUser;
use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Session\SessionTerminator;
use Symfony\Component\Security\Core\User\InMemoryUser;
use Symfony\Component\Security\Core\User\UserInterface;

final class SessionTest extends OroTestCase
{
    public function testALogoutEndsTheSessionsOfThatUser(): void
    {
        $this->boot();

        self::assertSame(['{"role":"user","uid":7}'], $this->endedByLogoutOf(new User('ann', 7)));
    }

    public function testACustomerEndsNoSessionOfABackOfficeUserWithTheSameName(): void
    {
        $this->boot();

        self::assertSame(
            ['{"role":"customer","uid":77}'],
            $this->endedByLogoutOf(new CustomerUser('ann', 77)),
        );
    }

    public function testALogoutOfAnotherKindOfUserEndsNoSession(): void
    {
        $this->boot();

        self::assertSame([], $this->endedByLogoutOf(new InMemoryUser('ann', null)));
    }

    public function testDisconnectingACustomerByNameIncludesTheRole(): void
    {
        $this->boot();
        $sessions = $this->container()->get(SessionTerminator::class);
        $sessions->endSessionsOf('ann', 'customer');

        self::assertSame(['{"role":"customer","user":"ann"}'], $this->publisher()->take('orosync/disconnect'));
    }

    /** @return list<string> */
    private function endedByLogoutOf(UserInterface $user): array
    {
        $browser = $this->browser($user);
        $browser->disableReboot();
        $browser->request('GET', '/logout');
        self::assertSame(302, $browser->getResponse()->getStatusCode());
        self::assertNull($this->container()->get('security.untracked_token_storage')->getToken(), 'is logged out');

        return $this->publisher()->take('orosync/disconnect');
    }
}
