<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\SyncBundle\Authentication\Origin\OriginProviderInterface;
use Orosync\Oro\OroTicketOrigins;
use Orosync\Tests\Application\RecordingLogger;
use PHPUnit\Framework\TestCase;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

final class OroTicketOriginsTest extends TestCase
{
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        StandIns::register();
        $this->logger = new RecordingLogger();
    }

    public function testEachHostIsInTheTicketOnce(): void
    {
        self::assertSame(
            ['origins' => ['crm.example.com', 'shop.example.com', 'localhost', '127.0.0.1']],
            $this->claim(static fn (): array => ['shop.example.com', 'CRM.example.com', 'localhost'], 'crm.example.com'),
        );
        self::assertSame([], $this->logger->lines());
    }

    public function testWithAFailingProviderTheTicketHasNoOriginsAndTheErrorIsLogged(): void
    {
        self::assertSame([], $this->claim(static fn (): array => throw new \RuntimeException('no database')));
        self::assertCount(1, $this->logger->lines('error: The ticket is valid for pages of any host: Oro\'s origins cannot be read: no database'));
    }

    public function testWithoutHostsTheTicketHasNoOrigins(): void
    {
        self::assertSame([], $this->claim(static fn (): array => []));
        self::assertSame([], $this->claim(static fn (): array => [null, '', 'https://crm.example.com', "crm.example.com\n"]));
        self::assertCount(2, $this->logger->lines('warning: The ticket is valid for pages of any host: Oro has no configured host.'));
    }

    public function testWithTooManyHostsTheTicketHasNoOrigins(): void
    {
        $named = static fn (int $count): \Closure => static fn (): array => array_map(static fn (int $n): string => "shop$n.example.com", range(1, $count));
        // The requested host and the two of this machine are added.
        self::assertCount(16, $this->claim($named(13))['origins']);
        self::assertSame([], $this->claim($named(14)));
        self::assertCount(1, $this->logger->lines('warning: The ticket is valid for pages of any host: Oro has 17 hosts, a ticket holds 16.'));
    }

    public function testInvalidHostsAreLeftOut(): void
    {
        $origins = static fn (): array => ['crm.example.com', 'https://shop.example.com', null];
        self::assertSame(['origins' => ['crm.example.com', 'localhost', '127.0.0.1']], $this->claim($origins, 'b2b.example.com.'));
    }

    /** @return array{origins?: list<string>} */
    private function claim(\Closure $origins, string $host = 'crm.example.com'): array
    {
        $provider = new class ($origins) implements OriginProviderInterface {
            public function __construct(private readonly \Closure $origins)
            {
            }

            public function getOrigins(): array
            {
                return ($this->origins)();
            }
        };
        $requests = new RequestStack();
        $requests->push(Request::create('https://' . $host . '/sync/ticket', 'POST'));

        return (new OroTicketOrigins($provider, $requests, $this->logger))->claim();
    }
}
