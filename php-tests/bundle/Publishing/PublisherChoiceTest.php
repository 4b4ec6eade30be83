<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\ExtensionPublisher;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\Wait;
use Orosync\Ticket\TicketIssuerInterface;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

final class PublisherChoiceTest extends ApplicationTestCase
{
    /** @dataProvider reasons */
    #[DataProvider('reasons')]
    public function testAnApplicationWithoutAPublisherWorksAndLogsTheReasonOnce(array $orosync, array $parameters, string $line): void
    {
        $publisher = $this->boot($orosync, $parameters, ['publisher', 'tickets'])->get(PublisherInterface::class);

        self::assertFalse($publisher->publish('oro/ping', 1));
        self::assertFalse($publisher->publish('oro/ping', 2));
        self::assertTrue($publisher->flush());
        self::assertSame(PublisherStatus::UNAVAILABLE, $publisher->status()->state);
        self::assertSame([$line], $this->logger()->lines('Live notifications'));
    }

    public static function reasons(): iterable
    {
        yield 'switched off' => [
            ['backend' => ''], [],
            'info: Live notifications are not sent: the backend endpoint is empty, which switches them off.',
        ];
        yield 'a value of the environment that is no endpoint' => [
            ['backend' => '%env(LIVE_BACKEND)%'], ['env(LIVE_BACKEND)' => 'udp://10.0.0.1'],
            'error: Live notifications are not sent: orosync.backend: "udp" is not a transport. Write tcp or ws for a plain connection, ssl or wss for an encrypted one.',
        ];
        if (!\extension_loaded('orosync')) {
            yield 'no extension' => [
                [], [],
                'error: Live notifications are not sent: the PHP extension "orosync" is not loaded (cli). Install it and add "extension=orosync" to this PHP\'s configuration.',
            ];
        } else {
            yield 'an empty secret' => [
                ['secret' => '%env(LIVE_SECRET)%'], ['env(LIVE_SECRET)' => ''],
                'error: Live notifications are not sent: orosync.secret is empty. Give it a value (openssl rand -hex 32), or remove the key to derive it from kernel.secret.',
            ];
        }
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testTheExtensionPublishesAndIssuesTickets(): void
    {
        $container = $this->boot([], [], ['publisher', 'tickets']);

        self::assertInstanceOf(ExtensionPublisher::class, $container->get(PublisherInterface::class));
        self::assertSame($container->get(PublisherInterface::class), $container->get(TicketIssuerInterface::class));
        self::assertSame('ws://127.0.0.1:8080/', $container->get(PublisherInterface::class)->status()->endpoint);
        self::assertSame([], $this->logger()->lines('Live notifications'));
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testAnUnreachableServerIsLoggedOnceForManyRequests(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            $publisher = $this->boot(['backend' => '//127.0.0.1:1'], [], ['publisher', 'tickets'])->get(PublisherInterface::class);
            self::assertTrue($publisher->publish('oro/ping', 'kept'));
            Wait::until(
                static fn (): bool => 'backing-off' === $publisher->status()->state,
                static fn (): string => $publisher->status()->state,
            );
            $this->kernel()->terminate(Request::create('/'), new Response());
            self::assertCount(0 === $request ? 1 : 0, $this->logger()->lines('does not answer at ws://127.0.0.1:1/'));
        }
    }
}
