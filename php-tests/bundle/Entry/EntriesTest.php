<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Orosync\Controller\TicketController;
use Orosync\Messenger\Publish;
use Orosync\Notifier\UserRecipient;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\Notifier\Notification\Notification;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;
use Symfony\Contracts\EventDispatcher\Event;

/** Failures behind an entry point do not affect the application's own action. */
final class EntriesTest extends ApplicationTestCase
{
    use FailingCommand;

    /** Entry points, with the method of this class that triggers each. */
    private const ENTRIES = [
        'orosync.security_listener kernel.event_listener ' . LogoutEvent::class => 'logOut',
        'orosync.security_listener kernel.event_listener ' . TokenDeauthenticatedEvent::class => 'deauthenticate',
        'orosync.content_tag_listener doctrine.event_listener onFlush' => 'flush',
        'orosync.content_tag_listener doctrine.event_listener postFlush' => 'announceAFlush',
        'orosync.commit_middleware doctrine.middleware' => 'commit',
        'orosync.recording_publisher decorates ' . PublisherInterface::class => 'announceAFlush',
        'orosync.maintenance_listener kernel.event_listener maintenance.on' => 'switchMaintenance',
        'orosync.maintenance_listener kernel.event_listener maintenance.off' => 'switchMaintenance',
        'orosync.twig_extension twig.extension' => 'renderAPage',
        'orosync.twig_runtime twig.runtime' => 'renderAPage',
        'orosync.request_start kernel.event_listener kernel.request' => 'profileARequest',
        'orosync.live_page_listener kernel.event_listener kernel.response' => 'profileARequest',
        'orosync.live_page_listener kernel.event_listener kernel.exception' => 'profileARequest',
        'orosync.live_page kernel.reset' => 'reset',
        TicketController::class . ' controller.service_arguments' => 'askForATicket',
        'orosync.publishing_collector data_collector' => 'profileARequest',
        'orosync.server_command console.command' => 'startTheServer',
        'orosync.topics_export_command console.command' => 'checkTheTopics',
        'orosync.check_command console.command' => 'checkTheSetup',
        'orosync.watch_command console.command' => 'watch',
        'orosync.publish_command console.command' => 'publishByCommand',
        'orosync.disconnect_command console.command' => 'disconnectByCommand',
        'orosync.ticket_command console.command' => 'printATicket',
        'orosync.maintenance_command console.command' => 'switchMaintenanceByCommand',
        'orosync.publish_handler messenger.message_handler' => 'consume',
        'orosync.notifier_channel notifier.channel' => 'notify',
        'orosync.content_tag_listener kernel.reset' => 'reset',
        'orosync.guard kernel.reset' => 'reset',
        'orosync.recording_publisher kernel.reset' => 'reset',
        'orosync.requested_topics kernel.reset' => 'reset',
        // Fails without the application's own publisher; covered by the last test of this class, too.
        'orosync.publisher_factory kernel.reset' => 'reset',
        'orosync.publisher_factory kernel.event_listener kernel.terminate' => 'profileARequest',
        'orosync.publisher_factory kernel.event_listener console.terminate' => 'startTheServer',
    ];

    /** Entry points while the container is built: {@see CompilerPassesTest}, and the tests of each. */
    private const PASSES = ['ContentTagsNeedDoctrinePass', 'DerivedSecretPass', 'OroPass', 'RecordingNeedsProfilerPass', 'TopicsPass', 'TransactionsUnderDbal2Pass', 'UserProvidersPass', 'UserRolesPass'];

    /** Entry points whose announcement fails. */
    private const WITH_TAGS = ['announceAFlush', 'commit'];

    /** Not covered: a command reports its failure, Messenger keeps the message, and a reset calls no service. */
    private const NOT_COUNTED = [
        'startTheServer', 'checkTheTopics', 'checkTheSetup', 'watch', 'publishByCommand', 'disconnectByCommand', 'printATicket',
        'switchMaintenanceByCommand', 'consume', 'reset',
    ];

    private const WITH = ['security', 'twig', 'doctrine', 'everything', 'no debug'];

    public function testEveryEntryPointIsListed(): void
    {
        $entries = $this->boot([], [], self::WITH)->getParameter(Entries::PARAMETER);
        $known = self::known();
        sort($entries);
        sort($known);

        self::assertSame($known, $entries);
    }

    /** @return list<string> */
    public static function known(): array
    {
        return [...array_keys(self::ENTRIES), ...array_map(static fn (string $pass): string => 'pass ' . $pass, self::PASSES)];
    }

    /** @dataProvider failures */
    #[DataProvider('failures')]
    public function testAFailureDoesNotAffectTheApplication(string $action, string $failure): void
    {
        $working = \in_array($action, self::WITH_TAGS, true) ? [Failure::NOT_OF_TAGS] : [];
        $this->boot([
            'server' => ['binary' => '/nowhere/orosync-server'],
            'maintenance' => ['flag_file' => getenv('BUNDLE_TEST_DIRECTORY') . '/maintenance'],
        ], [], [...self::WITH, $failure, ...$working]);

        $this->$action();
        if (!\in_array($action, self::NOT_COUNTED, true)) {
            self::assertGreaterThan(0, $this->service('orosync.guard')->count(), 'a failure was counted');
        }
    }

    /** @return iterable<string, array{string, string}> */
    public static function failures(): iterable
    {
        foreach (array_unique(self::ENTRIES) as $action) {
            foreach (Failure::ALL as $failure) {
                yield $action . ', ' . $failure => [$action, $failure];
            }
        }
    }

    public function testAFailureIsLoggedWithARemedyAndCounted(): void
    {
        $this->boot([], [], ['security', Failure::OF_CALLS]);
        $this->logOut();

        self::assertSame(
            ['error: The websocket sessions of a logged-out user continue until their pages are closed or SessionTerminator::endSessionsOf() is called: it is broken'],
            $this->logger()->lines('error: The websocket sessions'),
        );
        self::assertSame(1, $this->kernel()->getContainer()->get('orosync.guard')->count());
    }

    public function testTheProfilerCountsFailures(): void
    {
        $this->boot([], [], [...self::WITH, Failure::OF_CALLS]);
        $browser = $this->browser();
        $browser->enableProfiler();
        $browser->request('POST', '/sync/ticket');
        $collector = $browser->getProfile()->getCollector('orosync');

        self::assertSame(2, $collector->getFailureCount());
        self::assertSame(
            ['lost' => 'No ticket was issued', 'reason' => 'LogicException: it is broken'],
            $collector->getFailures()[0],
        );
    }

    public function testInDebugModeAFailureInAPageIsAnException(): void
    {
        $this->boot([], [], ['security', 'twig', 'doctrine', Failure::OF_CALLS]);

        $this->expectExceptionMessage(BrokenService::REASON);
        $this->renderAPage();
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testRequestsAndCommandsEndNormallyIfAnOutageCannotBeLogged(): void
    {
        // Publishers are shared within the process; other tests use port 1.
        $container = $this->boot(['backend' => '//127.0.0.1:' . Project::freePorts(1)[0]], [], [...self::WITH, Failure::OF_THE_LOG]);
        $publisher = $container->get('orosync.publisher_factory')->publisher();
        $publisher->publish('acme/orders/7', 1);
        Wait::until(static fn (): bool => 'backing-off' === $publisher->status()->state, static fn (): string => $publisher->status()->state);

        $container->get('orosync.publisher_factory')->reportOutage();
        self::assertSame(1, $container->get('orosync.guard')->count());
    }

    private function logOut(): void
    {
        $browser = $this->browser(self::ann());
        $browser->disableReboot();
        $browser->request('GET', '/logout');

        self::assertSame(302, $browser->getResponse()->getStatusCode());
        self::assertNull($this->service('security.untracked_token_storage')->getToken(), 'is logged out');
    }

    private function deauthenticate(): void
    {
        $token = new UsernamePasswordToken(self::ann(), 'main', ['ROLE_USER']);
        $event = new TokenDeauthenticatedEvent($token, new Request());

        self::assertSame($event, $this->service('security.event_dispatcher.main')->dispatch($event));
    }

    private function flush(): void
    {
        $manager = $this->manager();
        $manager->persist(new Company('acme'));
        $manager->flush();

        self::assertSame(1, $manager->getRepository(Company::class)->count([]));
    }

    private function announceAFlush(): void
    {
        $this->flush();
    }

    private function commit(): void
    {
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $manager->persist(new Company('acme'));
        $manager->flush();
        $manager->getConnection()->commit();

        self::assertSame(1, $manager->getRepository(Company::class)->count([]));
    }

    private function switchMaintenance(): void
    {
        foreach (['maintenance.on', 'maintenance.off'] as $name) {
            $event = new Event();
            self::assertSame($event, $this->service('event_dispatcher')->dispatch($event, $name));
        }
    }

    private function renderAPage(): void
    {
        $page = $this->service('twig')->createTemplate(
            'Hello {% if check_ws() %}live{% endif %}{{ get_ws_config()|default("nowhere") is iterable ? "" : "." }}'
            . '{{ orosync_client_config() ? "live" : "." }}{{ oro_sync_get_content_tags(page)|join }}{{ orosync_page([]) }} world',
        );

        self::assertMatchesRegularExpression('/^Hello \.{1,2} world$/', $page->render(['page' => new Company('acme')]));
    }

    private function askForATicket(): void
    {
        $browser = $this->browser(self::ann());
        $browser->request('POST', '/sync/ticket');

        self::assertSame(503, $browser->getResponse()->getStatusCode());
        self::assertSame(
            ['error' => 'Live notifications are not available; the application log contains the reason.'],
            json_decode($browser->getResponse()->getContent(), true),
        );
    }

    private function profileARequest(): void
    {
        $browser = $this->browser();
        $browser->enableProfiler();
        $browser->request('GET', '/nothing/here');

        self::assertSame(404, $browser->getResponse()->getStatusCode());
        self::assertNull($browser->getProfile()->getCollector('orosync')->getStatus());
    }

    private function startTheServer(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:server']);
    }

    private function checkTheTopics(): void
    {
        $nobody = 'http://127.0.0.1:' . Project::freePorts(1)[0];
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:topics:export', '--check' => true, '--server' => $nobody]);
    }

    private function checkTheSetup(): void
    {
        $nobody = 'http://127.0.0.1:' . Project::freePorts(1)[0];
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:check', '--server' => $nobody]);
    }

    private function watch(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:watch', 'topic' => ['oro/ping']]);
    }

    private function publishByCommand(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:publish', 'topic' => 'oro/ping', 'json' => '1']);
    }

    private function disconnectByCommand(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:disconnect', '--role' => 'user', '--uid' => '7']);
    }

    private function printATicket(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:ticket', 'user' => 'ann']);
    }

    private function switchMaintenanceByCommand(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:maintenance', 'mode' => 'on']);
    }

    private function consume(): void
    {
        $this->service('messenger.default_bus')->dispatch(new Publish('acme/orders/7', 1));
        $console = $this->console();
        // A reset would clear the in-memory transports.
        $console->run(['command' => 'messenger:consume', 'receivers' => ['async'], '--limit' => '1', '--time-limit' => '10', '--no-reset' => null]);

        self::assertSame(0, $console->getStatusCode(), $console->getDisplay());
        self::assertCount(1, $this->service('messenger.transport.failed')->get(), 'is kept for another attempt');
    }

    private function notify(): void
    {
        $this->service('notifier')->send(new Notification('Order A-1 was shipped', ['orosync']), new UserRecipient(7));

        $this->addToAssertionCount(1);
    }

    private function reset(): void
    {
        $this->service('orosync.guard');
        $this->service('orosync.content_tag_listener');
        $this->service('orosync.live_page');
        $this->service('orosync.requested_topics');
        $this->service('orosync.recording_publisher');
        $this->service('orosync.publisher_factory')->publisher();
        $this->service('services_resetter')->reset();

        $this->addToAssertionCount(1);
    }

    private function console(): ApplicationTester
    {
        $application = new Application($this->kernel());
        $application->setAutoExit(false);

        return new ApplicationTester($application);
    }

    private function service(string $id): object
    {
        return $this->kernel()->getContainer()->get($id);
    }

    private static function ann(): User
    {
        return new User('ann', 7, null);
    }
}
