<?php

declare(strict_types=1);

namespace Orosync\Tests\Messenger;

use Orosync\Messenger\Publish;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\FreshApplication\Kernel;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\FreshApplication\WampClient;
use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\Messenger\Event\WorkerMessageHandledEvent;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;
use Symfony\Component\Messenger\Stamp\ErrorDetailsStamp;
use Symfony\Component\Process\Process;

/**
 * `messenger:consume` with the real extension and the real server.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class WorkerTest extends TestCase
{
    private int $port;
    private Project $project;
    private Kernel $kernel;
    private ?Process $server = null;

    protected function setUp(): void
    {
        $binary = Project::serverBinary();
        [$this->port] = Project::freePorts(1);
        $this->project = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', <<<YAML
                orosync:
                    backend: '//127.0.0.1:$this->port'
                    server: {bind: '//127.0.0.1:$this->port', binary: '$binary'}
                YAML)
            ->write('config/packages/messenger.yaml', <<<'YAML'
                framework:
                    messenger:
                        failure_transport: failed
                        transports:
                            async: {dsn: 'in-memory://', retry_strategy: {max_retries: 0}}
                            failed: 'in-memory://'
                        routing:
                            Orosync\Messenger\Publish: async
                services:
                    seen.bus: {alias: messenger.default_bus, public: true}
                    seen.async: {alias: messenger.transport.async, public: true}
                    seen.failed: {alias: messenger.transport.failed, public: true}
                    seen.tickets: {alias: Orosync\Ticket\TicketIssuerInterface, public: true}
                YAML);
        $this->kernel = $this->project->boot('dev');
    }

    protected function tearDown(): void
    {
        $this->server?->stop();
        $this->kernel->shutdown();
    }

    public function testTheWorkerAcknowledgesAMessageAfterTheServer(): void
    {
        $this->server = $this->project->startServer();
        $page = $this->page();
        $open = [];
        $container = $this->kernel->getContainer();
        $container->get('event_dispatcher')->addListener(
            WorkerMessageHandledEvent::class,
            // Right before the transport's acknowledgement: a worker killed now has lost no message.
            function () use ($container, &$open): void {
                $status = $container->get(PublisherInterface::class)->status();
                $open[] = $status->queued + $status->unacknowledged;
            },
        );
        for ($number = 1; $number <= 3; ++$number) {
            $container->get('seen.bus')->dispatch(new Publish('oro/ping', $number));
        }
        $this->consume(3);

        self::assertSame([0, 0, 0], $open);
        self::assertSame([['oro/ping', 1], ['oro/ping', 2], ['oro/ping', 3]], [$page->next(), $page->next(), $page->next()]);
        self::assertCount(3, $container->get('seen.async')->getAcknowledged());
    }

    public function testWithoutAServerAMessageStaysInAQueue(): void
    {
        $container = $this->kernel->getContainer();
        $container->get('seen.bus')->dispatch(new Publish('oro/ping', 'kept'));
        $this->consume(1);

        [$kept] = $container->get('seen.failed')->getSent();
        self::assertEquals(new Publish('oro/ping', 'kept'), $kept->getMessage());
        self::assertStringContainsString(
            'A message to "oro/ping" is not published yet: no acknowledgement within 5 seconds',
            $kept->last(ErrorDetailsStamp::class)->getExceptionMessage(),
        );
    }

    public function testAMessageThatTheServerRefusesIsNotRetried(): void
    {
        $this->server = $this->project->startServer();
        $container = $this->kernel->getContainer();
        $container->get('seen.bus')->dispatch(new Publish('acme/nobodys', 'for nobody'));
        $this->consume(1);

        [$kept] = $container->get('seen.failed')->getSent();
        $error = $kept->last(ErrorDetailsStamp::class);
        self::assertSame(UnrecoverableMessageHandlingException::class, $error->getExceptionClass());
        self::assertStringContainsString(
            'A message to "acme/nobodys" can never be sent: the server does not deliver it: The topic "acme/nobodys" is not declared',
            $error->getExceptionMessage(),
        );
    }

    public function testAWorkerContinuesWhenTheServerIsReachableAgain(): void
    {
        $this->server = $this->project->startServer();
        $container = $this->kernel->getContainer();
        $publisher = $container->get(PublisherInterface::class);
        $container->get('seen.bus')->dispatch(new Publish('oro/ping', 'before'));
        $this->consume(1);
        $this->server->stop();
        $this->awaitState($publisher, 'backing-off');
        $container->get('seen.bus')->dispatch(new Publish('oro/ping', 'during'));
        $this->consume(1);
        self::assertSame(1, $publisher->status()->accepted, 'the handler publishes nothing while the link is down');

        $this->server = $this->project->startServer();
        $page = $this->page();
        // The link reconnects without further messages.
        $this->awaitState($publisher, 'connected');
        [$kept] = $container->get('seen.failed')->get();
        $container->get('seen.bus')->dispatch($kept->getMessage());
        $this->consume(1);

        self::assertSame(['oro/ping', 'during'], $page->next());
    }

    public function testOneConnectionServesAllRequestsOfALongRunningProcess(): void
    {
        $this->server = $this->project->startServer();
        $page = $this->page();
        $publisher = $this->kernel->getContainer()->get(PublisherInterface::class);
        for ($request = 1; $request <= 3; ++$request) {
            // As in FrankenPHP's worker mode: the same kernel, with its services reset before each request.
            $this->kernel->handle(Request::create('/'));
            $this->kernel->getContainer()->get('services_resetter')->reset();
            self::assertTrue($publisher->publish('oro/ping', $request));
            self::assertSame(['oro/ping', $request], $page->next());
        }

        self::assertSame($publisher, $this->kernel->getContainer()->get(PublisherInterface::class));
        self::assertTrue($publisher->flush(20.0));
        self::assertSame([3, 0], [$publisher->status()->accepted, $publisher->status()->reconnects]);
    }

    private function awaitState(PublisherInterface $publisher, string $state): void
    {
        Wait::until(
            static fn (): bool => $state === $publisher->status()->state,
            static fn (): string => $publisher->status()->state . ': ' . $publisher->status()->lastError,
        );
    }

    private function page(): WampClient
    {
        $ticket = $this->kernel->getContainer()->get('seen.tickets')->issue(['sub' => 'ann', 'uid' => 7, 'role' => 'user'], 60);
        $page = new WampClient('ws://127.0.0.1:' . $this->port . '/ws?ticket=' . $ticket);
        $page->subscribe('oro/ping');

        return $page;
    }

    private function consume(int $messages): void
    {
        $application = new Application($this->kernel);
        $application->setAutoExit(false);
        $console = new ApplicationTester($application);
        self::assertSame(0, $console->run(['command' => 'messenger:consume', 'receivers' => ['async'], '--limit' => $messages, '--no-reset' => null]), $console->getDisplay());
    }
}
