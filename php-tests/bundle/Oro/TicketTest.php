<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\CustomerBundle\Entity\CustomerUser;
use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Application\Organization;
use Orosync\Tests\Jwt;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\BrowserKit\Cookie;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\InMemoryUser;
use Symfony\Component\Security\Core\User\UserInterface;

final class TicketTest extends OroTestCase
{
    public function testTicketsUseOrosRouteControllerAndCsrfCheck(): void
    {
        $this->boot();
        $browser = $this->browser(new User('ann', 7));
        $browser->request('POST', '/sync/ticket');
        self::assertSame(403, $browser->getResponse()->getStatusCode());

        $browser->getCookieJar()->set(new Cookie('_csrf', 'abc'));
        $browser->request('POST', '/sync/ticket', [], [], ['HTTP_X_CSRF_HEADER' => 'abc']);
        self::assertSame(200, $browser->getResponse()->getStatusCode());
        $ticket = json_decode($browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR)['ticket'];
        $origins = ['localhost', 'crm.example.com', '127.0.0.1'];
        self::assertSame(['sub' => 'ann', 'uid' => 7, 'role' => 'user', 'origins' => $origins], json_decode($ticket, true)['claims']);
    }

    public function testTheTicketOfABackOfficeUserHasIdAndOrganization(): void
    {
        self::assertSame(['sub' => 'ann', 'uid' => 7, 'org' => 3, 'role' => 'user'], $this->claims(new User('ann', 7, new Organization(3))));
    }

    public function testTheTicketHasTheOrganizationOfTheToken(): void
    {
        $this->boot();
        $user = new User('ann', 7, new Organization(3));
        $token = new class ($user, 'main') extends UsernamePasswordToken {
            public function getOrganization(): Organization
            {
                return new Organization(4);
            }
        };
        $this->container()->get('security.untracked_token_storage')->setToken($token);

        self::assertSame(4, $this->claimsOf($user)['org']);
        self::assertSame(5, $this->claimsOf(new User('bob', 8, new Organization(5)))['org'], 'somebody else\'s');
    }

    public function testACustomerAndAUserWithTheSameIdAreDifferentIdentities(): void
    {
        self::assertSame(['sub' => 'cy@example.com', 'uid' => 7, 'role' => 'customer'], $this->claims(new CustomerUser('cy@example.com', 7)));
    }

    public function testWithoutALoginAndForOtherKindsOfUsersTicketsAreAnonymous(): void
    {
        self::assertSame(['role' => 'anonymous'], $this->claims(null));
        self::assertSame(['role' => 'anonymous'], $this->claims(new InMemoryUser('api', null)));
    }

    public function testATicketContainsTheGrantsOfTheApplication(): void
    {
        $this->boot([], ['acme']);

        self::assertSame(['acme/project/7'], $this->claimsOf(new User('ann', 7))['topics']);
        self::assertArrayNotHasKey('topics', $this->claimsOf(null));
    }

    public function testATicketIsLimitedToTheRequestedHostAndOrosOrigins(): void
    {
        $this->boot();
        $browser = $this->browser(new User('ann', 7));
        $browser->setServerParameter('HTTP_HOST', 'B2B.example.com:8443');
        $browser->getCookieJar()->set(new Cookie('_csrf', 'abc'));
        $browser->request('POST', '/sync/ticket', [], [], ['HTTP_X_CSRF_HEADER' => 'abc']);
        $claims = json_decode(json_decode($browser->getResponse()->getContent(), true)['ticket'], true)['claims'];
        self::assertSame(['b2b.example.com', 'crm.example.com', 'localhost', '127.0.0.1'], $claims['origins']);

        // A consumer or a command has no request.
        self::assertSame(['crm.example.com', 'localhost', '127.0.0.1'], $this->originsOf(null));
    }

    public function testConfiguredOriginsReplaceOrosOrigins(): void
    {
        $this->boot(['ticket' => ['origins' => ['*.example.com']]]);
        self::assertSame(['*.example.com'], $this->originsOf(new User('ann', 7)));

        $this->boot(['ticket' => ['origins' => ['*']]]);
        self::assertNull($this->originsOf(new User('ann', 7)));
    }

    public function testWithoutATicketThePageMayRetry(): void
    {
        $this->boot(['backend' => ''], ['publisher', 'tickets']);
        $browser = $this->browser(new User('ann', 7));
        $browser->getCookieJar()->set(new Cookie('_csrf', 'abc'));
        $browser->request('POST', '/sync/ticket', [], [], ['HTTP_X_CSRF_HEADER' => 'abc']);

        self::assertSame(503, $browser->getResponse()->getStatusCode());
    }

    /** In 5.1, Oro's own functional test requests a ticket without a backend and passes it to the listeners of Oro's server. */
    public function testInTheTestEnvironmentTicketsAreOrosOwn(): void
    {
        $container = $this->boot(['backend' => ''], ['publisher', 'tickets'], environment: 'test');
        $browser = $this->browser(new User('ann', 7));
        $browser->getCookieJar()->set(new Cookie('_csrf', 'abc'));
        $browser->request('POST', '/sync/ticket', [], [], ['HTTP_X_CSRF_HEADER' => 'abc']);

        self::assertSame(200, $browser->getResponse()->getStatusCode());
        self::assertInstanceOf(InMemoryPublisher::class, $container->get(PublisherInterface::class));
        $ticket = json_decode($browser->getResponse()->getContent(), true)['ticket'];
        self::assertStringContainsString(';ann;', (string) base64_decode($ticket, true), 'which the old server takes');
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testATicketIsSignedWithTheSecretInsteadOfThePassword(): void
    {
        $container = $this->boot(['ticket' => ['ttl' => 60]], ['publisher', 'tickets']);
        $ticket = $container->get('oro_sync.authentication.ticket_provider')->generateTicket(new User('ann', 7, null, 'a new hash'));
        $claims = Jwt::verified($ticket, $container->get('orosync.shared_secret')->forServer()['OROSYNC_AUTH__SECRET']);

        self::assertSame(['ann', 7, 'user', 60], [$claims['sub'], $claims['uid'], $claims['role'], $claims['exp'] - $claims['iat']]);
        self::assertStringNotContainsString('hash', json_encode($claims));
    }

    /** @return array<string, mixed> */
    private function claims(?UserInterface $user): array
    {
        $this->boot();

        return $this->claimsOf($user);
    }

    /** @return array<string, mixed> who it is */
    private function claimsOf(?UserInterface $user): array
    {
        return array_diff_key($this->allClaimsOf($user), ['origins' => true]);
    }

    /** @return list<string>|null */
    private function originsOf(?UserInterface $user): ?array
    {
        return $this->allClaimsOf($user)['origins'] ?? null;
    }

    /** @return array<string, mixed> */
    private function allClaimsOf(?UserInterface $user): array
    {
        $ticket = $this->container()->get('oro_sync.authentication.ticket_provider')->generateTicket($user);

        return json_decode($ticket, true, 512, \JSON_THROW_ON_ERROR)['claims'];
    }
}
