<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Tests\Application\Organization;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\Jwt;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;

final class TicketControllerTest extends ApplicationTestCase
{
    public function testAUserGetsATicketWithNameIdAndOrganization(): void
    {
        $this->boot();

        self::assertSame(
            ['claims' => ['sub' => 'ann', 'uid' => 7, 'org' => 3, 'role' => 'user'], 'ttl' => 300],
            $this->ticket(self::ann()),
        );
    }

    public function testWithoutALoginTheTicketIsAnonymous(): void
    {
        $this->boot();

        self::assertSame(['claims' => ['role' => 'anonymous'], 'ttl' => 300], $this->ticket(null));
    }

    public function testWithoutTheSecurityBundleEverybodyIsAnonymous(): void
    {
        $this->boot(['ticket' => ['ttl' => 60]], [], []);

        self::assertSame(['claims' => ['role' => 'anonymous'], 'ttl' => 60], $this->ticket(null));
    }

    public function testAnApplicationMayReplaceTheUserClaims(): void
    {
        $this->boot([], [], ['security', 'doctrine', 'own claims']);

        $claims = $this->ticket(self::ann())['claims'];
        self::assertSame([12, 1_800_000_000], [$claims['uid'], $claims['until']]);
    }

    public function testATicketIsForPagesOfTheConfiguredHosts(): void
    {
        $hosts = ['crm.example.com', '*.shop.example.com', 'same host'];
        $this->boot(['ticket' => ['origins' => $hosts]]);
        self::assertSame($hosts, $this->ticket(self::ann())['claims']['origins']);
        self::assertSame($hosts, $this->ticket(null)['claims']['origins']);

        $this->boot(['ticket' => ['origins' => ['crm.example.com', '*']]]);
        self::assertArrayNotHasKey('origins', $this->ticket(self::ann())['claims']);
    }

    public function testATicketResponseIsNotCacheable(): void
    {
        $this->boot();
        $browser = $this->browser(self::ann());
        $browser->request('POST', '/sync/ticket');

        self::assertStringContainsString('no-store', $browser->getResponse()->headers->get('Cache-Control'));
        self::assertSame('application/json', $browser->getResponse()->headers->get('Content-Type'));
    }

    public function testATicketResponseHasTheRequestTimeByTheSameClockAsPages(): void
    {
        $this->boot();
        $now = $this->now(['REQUEST_TIME_FLOAT' => 1_790_000_000.1231]);

        self::assertSame(1_790_000_000_124, $now, 'the request time, rounded up');
    }

    public function testWithoutARequestTimeTheTicketHasTheTimeAtWhichTheKernelReceivedTheRequest(): void
    {
        $this->boot([], [], []);
        $before = 1000 * microtime(true);
        $now = $this->now(['REQUEST_TIME_FLOAT' => 'unknown']);
        $after = ceil(1000 * microtime(true));

        self::assertGreaterThanOrEqual($before, $now);
        self::assertLessThanOrEqual($after, $now);
    }

    public function testOnlyPostRequestsGetATicket(): void
    {
        $this->boot();
        $browser = $this->browser(self::ann());
        foreach (['GET', 'HEAD', 'PUT'] as $method) {
            $browser->request($method, '/sync/ticket');
            self::assertSame(405, $browser->getResponse()->getStatusCode(), $method);
        }
    }

    public function testWithoutATicketThePageGetsAnErrorAndTheReasonIsLogged(): void
    {
        $this->boot(['backend' => ''], [], ['publisher', 'tickets']);
        $browser = $this->browser();
        $browser->request('POST', '/sync/ticket');

        self::assertSame(503, $browser->getResponse()->getStatusCode());
        self::assertSame(['error' => 'Live notifications are not available; the application log contains the reason.'], json_decode($browser->getResponse()->getContent(), true));
        self::assertCount(1, $this->logger()->lines('error: No ticket was issued: the backend endpoint is empty'));
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testTheTicketIsSignedWithTheSecretOfTheServerCommand(): void
    {
        $container = $this->boot(['ticket' => ['origins' => ['CRM.example.com']]], [], ['security', 'publisher', 'tickets']);
        $browser = $this->browser(self::ann());
        $browser->request('POST', '/sync/ticket');
        $ticket = json_decode($browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR)['ticket'];
        $claims = Jwt::verified($ticket, $container->get('orosync.shared_secret')->forServer()['OROSYNC_AUTH__SECRET']);

        self::assertSame(['ann', 7, 3, 'user', 300], [$claims['sub'], $claims['uid'], $claims['org'], $claims['role'], $claims['exp'] - $claims['iat']]);
        self::assertSame(['crm.example.com'], $claims['origins']);
    }

    /** @param array<string, mixed> $server variables of the request */
    private function now(array $server): int
    {
        $browser = $this->browser();
        $browser->request('POST', '/sync/ticket', [], [], $server);

        return json_decode($browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR)['now'];
    }

    /** @return array<string, mixed> */
    private function ticket(?User $user): array
    {
        $browser = $this->browser($user);
        $browser->request('POST', '/sync/ticket');
        self::assertSame(200, $browser->getResponse()->getStatusCode());
        $answer = json_decode($browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR);
        self::assertSame(['ticket', 'now'], array_keys($answer));

        return json_decode($answer['ticket'], true, 512, \JSON_THROW_ON_ERROR);
    }

    private static function ann(): User
    {
        return new User('ann', 7, new Organization(3));
    }
}
