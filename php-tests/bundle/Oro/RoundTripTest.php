<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\CustomerBundle\Entity\CustomerUser;
use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Oro\Topics\RouteTranslator;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Organization;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\Process\PhpExecutableFinder;
use Symfony\Component\Process\Process;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * An Oro application, the extension, the native server and pages together. Only free ports are configured.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class RoundTripTest extends OroTestCase
{
    private const WITH = ['publisher', 'tickets', 'acme'];

    private int $port;
    private int $adminPort;
    private string $binary;
    private string $topics;
    private ?Process $server = null;

    protected function setUp(): void
    {
        parent::setUp();
        $this->binary = getenv('OROSYNC_SERVER') ?: \dirname(__DIR__, 3) . '/target/release/orosync-server';
        if (!is_executable($this->binary)) {
            $message = sprintf('"%s" is not there. Build it with "cargo build --release", or set OROSYNC_SERVER to its path.', $this->binary);
            '1' === getenv('OROSYNC_EXTENSION_REQUIRED') ? self::fail($message) : self::markTestSkipped($message);
        }
        [$this->port, $this->adminPort] = Project::freePorts(2);
        $this->topics = sprintf('%s/topics-%d.toml', getenv('BUNDLE_TEST_DIRECTORY'), $this->port);
        $this->boot($this->orosync(), self::WITH);
        $this->export();
    }

    protected function tearDown(): void
    {
        $this->server?->stop();
        parent::tearDown();
    }

    public function testOrosChangesAndMessagesReachTheirSubscribers(): void
    {
        $this->startServer();
        $ann = $this->open(new User('ann', 7, new Organization(1), 'a new hash of a new password'));
        foreach (['oro/data/update', 'oro/maintenance', 'oro/email_event/7/1', 'oro/email_event/7/*', 'acme/inbox/user_7/in'] as $topic) {
            $ann->subscribe($topic);
        }
        $ann->settle();

        $this->logIn(new User('bob', 8));
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $manager->persist(new Company('acme'));
        $manager->flush();
        $client = $this->container()->get('oro_sync.websocket_client');
        self::assertTrue($client->publish('oro/email_event/7/1', ['hasNewEmail' => true]));
        self::assertSame([8, 'oro/email_event/7/1', ['hasNewEmail' => true]], $ann->receive(), 'before the messages that wait for the commit');
        $manager->getConnection()->commit();
        self::assertSame(
            [8, 'oro/data/update', [['username' => 'bob', 'tagname' => 'Orosync_Tests_Application_Entity_Company_type_collection']]],
            $ann->receive(),
        );

        $client->publish('oro/email_event/7/*', ['hasNewEmail' => true]);
        self::assertSame([8, 'oro/email_event/7/*', ['hasNewEmail' => true]], $ann->receive());
        $client->publish('acme/inbox/user_7/in', 1);
        self::assertSame([8, 'acme/inbox/user_7/in', 1], $ann->receive());
        $this->container()->get('event_dispatcher')->dispatch(new \stdClass(), 'maintenance.on');
        self::assertSame([8, 'oro/maintenance', ['isOn' => true, 'userId' => 8]], $ann->receive());
    }

    /** @dataProvider refusals */
    #[\PHPUnit\Framework\Attributes\DataProvider('refusals')]
    public function testARefusedSubscriptionIsAnsweredAndTheSessionContinues(?UserInterface $user, string $topic): void
    {
        $this->startServer();
        $page = $this->open($user);
        $page->subscribe($topic);
        self::assertSame([4, $topic, $topic], \array_slice($page->receive(), 0, 3));

        $page->subscribe('oro/maintenance');
        $page->settle();
        $this->container()->get('oro_sync.websocket_client')->publish($topic, 'not for this page');
        $this->container()->get('oro_sync.websocket_client')->publish('oro/maintenance', ['isOn' => false, 'userId' => null]);
        self::assertSame([8, 'oro/maintenance', ['isOn' => false, 'userId' => null]], $page->receive());
    }

    public static function refusals(): iterable
    {
        StandIns::register();
        yield 'a visitor, of what the office saves' => [null, 'oro/data/update'];
        yield 'a customer, of what the office saves' => [new CustomerUser('cy', 7), 'oro/data/update'];
        yield 'a customer, of the user of the same id' => [new CustomerUser('cy', 7), 'oro/email_event/7/1'];
        yield 'a user, of another one' => [new User('ann', 7), 'oro/reminder_remind/8'];
        yield 'a user, of a topic that nothing grants' => [new User('ann', 7), 'acme/project/8'];
        yield 'a user, of a topic without a route' => [new User('ann', 7), 'acme/unknown'];
    }

    public function testAUserMaySubscribeToAGrantedTopic(): void
    {
        $this->startServer();
        $page = $this->open(new User('ann', 7));
        $page->subscribe('acme/project/7');
        $page->settle();
        $this->container()->get('oro_sync.websocket_client')->publish('acme/project/7', 'built');

        self::assertSame([8, 'acme/project/7', 'built'], $page->receive());
    }

    public function testAPageMayNotPublishMaintenance(): void
    {
        $this->startServer();
        $forger = $this->open(new User('ann', 7));
        $forger->send([7, 'oro/maintenance', ['isOn' => true, 'userId' => null], false]);
        self::assertSame([4, 'oro/maintenance', 'oro/maintenance'], \array_slice($forger->receive(), 0, 3));
    }

    public function testExcludeAndEligibleSelectTheReceivingSessions(): void
    {
        $this->startServer();
        $page = $this->open(new User('ann', 7));
        $page->subscribe('oro/maintenance');
        $page->settle();
        $client = $this->container()->get('oro_sync.websocket_client');
        self::assertTrue($client->publish('oro/maintenance', 'for nobody', [], [null]));
        self::assertTrue($client->publish('oro/maintenance', 'for nobody', [], [$client->connect()]));
        self::assertTrue($client->publish('oro/maintenance', 'for all', [$client->connect(), 12]));

        self::assertSame([8, 'oro/maintenance', 'for all'], $page->receive());
    }

    public function testMessagesPublishedDuringAnOutageArriveAfterIt(): void
    {
        $checker = $this->container()->get('oro_sync.client.connection_checker');
        self::assertTrue($checker->checkConnection());
        self::assertTrue($this->container()->get('oro_sync.websocket_client')->publish('oro/maintenance', ['isOn' => true]));
        Wait::until(
            fn (): bool => 'backing-off' === $this->container()->get(PublisherInterface::class)->status()->state,
            fn (): string => $this->container()->get(PublisherInterface::class)->status()->state,
        );
        self::assertTrue($checker->checkConnection(), 'a page rendered now must connect later');
        $this->startServer();

        self::assertTrue($this->container()->get(PublisherInterface::class)->flush(20.0));
    }

    public function testMigrateDistinguishesTheServersOfTwoApplications(): void
    {
        $this->startServer();
        $another = 'an orosync-server with another secret is running there.';
        self::assertStringNotContainsString($another, $this->migrate());

        $this->boot(['secret' => str_repeat('another application\'s ', 2)] + $this->orosync(), self::WITH);
        self::assertStringContainsString('127.0.0.1:' . $this->port . ': ' . $another, $this->migrate());
    }

    public function testTheExportCheckComparesTopicsAndAReloadClosesNoSession(): void
    {
        file_put_contents($this->topics, "[auth]\nallowed_origins = [\"crm.example.com\", \"localhost\", \"127.0.0.1\"]\n");
        $this->startServer();
        $page = $this->open(new User('ann', 7));
        [$code, $said] = $this->check();
        self::assertSame(1, $code);
        self::assertStringContainsString("acme/chat/{room}: missing on the server.\n", $said);

        $this->export();
        $this->server->signal(\SIGHUP);
        Wait::until(fn (): bool => 0 === $this->check()[0], fn (): string => $this->check()[1]);
        self::assertSame("The server has all 7 topics and the origins of this application.\n", $this->check()[1]);
        $page->subscribe('acme/ticker');
        $page->subscribe('acme/declared');
        $page->settle();
    }

    public function testPagesOfOtherOriginsAreRefusedWithoutConfiguration(): void
    {
        file_put_contents($this->topics, '');
        $this->startServer();
        $ticket = $this->container()->get('oro_sync.authentication.ticket_provider')->generateTicket(new User('ann', 7));

        foreach (['https://evil.example', 'https://example.com', 'null'] as $origin) {
            self::assertSame('HTTP/1.1 403 Forbidden', Page::answer($this->port, $ticket, $origin), $origin);
        }
        Page::open($this->port, $ticket, 'https://crm.example.com')->settle();
    }

    public function testPolicyOrderAndOriginsAreCompared(): void
    {
        $toml = file_get_contents($this->topics);
        $rule = static fn (string $pattern): string => "[[topics]]\npattern = \"$pattern\"\nsubscribe = \"user\"\npublish = \"publisher\"\n";
        file_put_contents($this->topics, str_replace('"crm.example.com"', '"shop.example.com"', strstr($toml, '# acme.chat', true)) . $rule('acme/ticker') . $rule('acme/chat/{room}') . strstr($toml, '# acme.project'));
        $this->startServer();
        [$code, $said] = $this->check();

        self::assertSame(1, $code);
        self::assertStringContainsString('acme/chat/{room}: the server has subscribe = "user", publish = "publisher"; this application has "granted" and "publisher".', $said);
        self::assertStringContainsString('acme/ticker: precedes another rule on the server but not here', $said);
        self::assertStringContainsString('origin crm.example.com: not allowed by name on the server.', $said);
        self::assertStringContainsString('origin shop.example.com: allowed on the server, but not configured in this application.', $said);
    }

    public function testTheServerHasTheBuiltInTopicsThatTheExportOmits(): void
    {
        file_put_contents($this->topics, '');
        $this->startServer();
        $patterns = array_column(json_decode(file_get_contents('http://127.0.0.1:' . $this->adminPort . '/topics'), true)['topics'], 'pattern');

        foreach (array_keys(RouteTranslator::BUILT_IN) as $pattern) {
            $split = 'oro/imap_sync_fail/{user_id:int_or_star}' === $pattern ? ['oro/imap_sync_fail/*', 'oro/imap_sync_fail/{user_id:int}'] : [$pattern];
            self::assertSame($split, array_values(array_intersect($patterns, $split)));
        }
    }

    private function open(?UserInterface $user): Page
    {
        return Page::open($this->port, $this->container()->get('oro_sync.authentication.ticket_provider')->generateTicket($user));
    }

    private function migrate(): string
    {
        $console = $this->console();
        $console->run(['command' => 'orosync:migrate']);

        return $console->getDisplay(true);
    }

    private function export(): void
    {
        $console = $this->console();
        $console->run(['command' => 'orosync:topics:export'], ['capture_stderr_separately' => true]);
        file_put_contents($this->topics, $console->getDisplay(true));
    }

    /** @return array{int, string} */
    private function check(): array
    {
        $console = $this->console();
        $code = $console->run(['command' => 'orosync:topics:export', '--check' => true, '--server' => 'http://127.0.0.1:' . $this->adminPort]);

        return [$code, $console->getDisplay(true)];
    }

    /** @return array<string, mixed> */
    private function orosync(): array
    {
        return [
            'backend' => '//127.0.0.1:' . $this->port,
            'topics' => ['acme/declared' => 'user'],
            'server' => ['bind' => '//127.0.0.1:' . $this->port, 'binary' => $this->binary, 'config' => $this->topics],
        ];
    }

    /** Starts the server with the command of Oro's supervisors. */
    private function startServer(): void
    {
        $this->server = new Process([...self::php(), __DIR__ . '/console.php', 'gos:websocket:server'], null, [
            'OROSYNC_TEST_KERNEL' => json_encode([$this->orosync(), self::WITH], \JSON_THROW_ON_ERROR),
            'BUNDLE_TEST_DIRECTORY' => getenv('BUNDLE_TEST_DIRECTORY'),
            'OROSYNC_ADMIN_BIND' => '127.0.0.1:' . $this->adminPort,
            'SHELL_VERBOSITY' => false,
        ], null, 60);
        $this->server->start();
        Wait::until(
            fn (): bool => str_contains($this->server->getErrorOutput(), 'is ready'),
            fn (): string => $this->server->getOutput() . $this->server->getErrorOutput(),
        );
    }

    /** @return list<string> PHP with the extension */
    private static function php(): array
    {
        $php = (new PhpExecutableFinder())->find(false);
        if (0 === (new Process([$php, '-r', 'exit(extension_loaded("orosync") ? 0 : 1);']))->run()) {
            return [$php];
        }
        self::assertSame(1, preg_match('~/\S*orosync\S*\.so\b~', file_get_contents('/proc/self/maps'), $library));

        return [$php, '-d', 'extension=' . $library[0]];
    }
}
