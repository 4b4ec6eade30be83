<?php

declare(strict_types=1);

namespace Orosync\Tests\Command;

use Orosync\Endpoint\ServerProbe;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\FreshApplication\WampClient;
use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\Process\Process;

/**
 * The operator's commands in a new application with a derived secret. Each command is a process; the server is real.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class OperatorCommandsTest extends TestCase
{
    private const TOPICS = "topics: {'acme/orders/{uid:int}': owner}";

    private Project $project;
    private int $port;
    private int $adminPort;

    /** @var list<Process> */
    private array $running = [];

    protected function setUp(): void
    {
        $this->project = (new Project())->withBundle();
        $this->project->write('config/routes/orosync.yaml', "orosync: {resource: '@OrosyncLiveBundle/config/routes.php'}\n");
        [$this->port, $this->adminPort] = Project::freePorts(2);
        $this->configure(self::TOPICS);
    }

    protected function tearDown(): void
    {
        foreach ($this->running as $process) {
            $process->stop();
        }
    }

    public function testTheCheckOfAWorkingInstallationHasOnlyOkLines(): void
    {
        $this->startServer();
        $check = $this->check();

        self::assertSame(0, $check->getExitCode(), $check->getOutput());
        // The documentation's output is that of an application without settings.
        self::assertSame(1, preg_match('~^```text output\n(OK .+?)^```~ms', self::document(), $shown));
        $expected = strtr($shown[1], ['8080/ (by default)' => $this->port . '/ (orosync.backend)', '8080/ws (by default)' => $this->port . '/ws (orosync.frontend)', '8080' => (string) $this->port, '…' => '%s']);
        self::assertStringMatchesFormat($expected, $check->getOutput());
    }

    public function testWithoutAServerTheCheckSaysHowToStartOne(): void
    {
        $check = $this->check();

        self::assertSame(1, $check->getExitCode());
        self::assertStringContainsString("ERROR   server     ws://127.0.0.1:{$this->port}/: cannot connect: Connection refused", $check->getOutput());
        self::assertStringContainsString('Is the server running? Start it: bin/console orosync:server', $check->getOutput());
        self::assertStringContainsString('WARNING topics     not compared with the server\'s. No answer from http://127.0.0.1:' . $this->adminPort, $check->getOutput());
    }

    public function testAnotherSecretIsReportedAsARefusal(): void
    {
        $this->startServer();
        $this->configure(self::TOPICS . "\n    secret: 'a secret that the server does not have: 0123'");
        $check = $this->check();

        self::assertSame(1, $check->getExitCode());
        self::assertStringContainsString(': the server refuses this publisher (HTTP 401', $check->getOutput());
        self::assertStringContainsString("rejects a browser ticket: it has another secret or another clock.", $check->getOutput());
        self::assertStringNotContainsString('does not answer', $check->getOutput() . $check->getErrorOutput());
    }

    public function testTheCheckReportsTopicsMissingOnTheServer(): void
    {
        $this->startServer();
        $this->configure("topics: {'acme/orders/{uid:int}': user, 'acme/new': user}");
        $check = $this->check();

        self::assertSame(1, $check->getExitCode());
        self::assertStringContainsString('ERROR   topics     acme/orders/{uid:int}: the server has subscribe = "owner"', $check->getOutput());
        self::assertStringContainsString('ERROR   topics     acme/new: missing on the server.', $check->getOutput());
        self::assertStringContainsString('Restart orosync:server', $check->getOutput());
    }

    public function testTheCheckReportsRefusalsOfTheServer(): void
    {
        $this->startServer();
        $publish = $this->console(['orosync:publish', 'acme/nobodys', '1']);
        $publish->run();
        self::assertSame(1, $publish->getExitCode());
        self::assertStringContainsString('the server does not deliver 1 message to the topic "acme/nobodys"', $publish->getErrorOutput());

        self::assertStringContainsString(
            'WARNING refusals   acme/nobodys: a message from PHP was not delivered, because no rule of the server matches the topic (1 time, the last ',
            $this->check()->getOutput(),
        );
    }

    public function testTheCheckReportsPhpIniSettingsWithoutEffectAndTheirFile(): void
    {
        $this->startServer();
        $this->project->write('php.d/90-orosync.ini', "orosync.endpoint = ws://10.0.0.1:9/\norosync.secret_file = /etc/orosync/secret\n");
        $check = $this->check([], ['PHP_INI_SCAN_DIR' => ':' . $this->project->directory . '/php.d']);

        self::assertSame(0, $check->getExitCode(), $check->getOutput());
        foreach (['orosync.endpoint = ws://10.0.0.1:9/', 'orosync.secret_file = /etc/orosync/secret'] as $setting) {
            self::assertStringContainsString(
                'WARNING php.ini    ' . $setting . ' (' . $this->project->directory . '/php.d/90-orosync.ini) has no effect here',
                $check->getOutput(),
            );
        }
    }

    public function testTheCheckReportsTheVariableThatContainsAnAddress(): void
    {
        $this->configure(self::TOPICS, "'%env(SYNC_BACKEND)%'");
        $check = $this->check([], ['SYNC_BACKEND' => '//127.0.0.1:' . $this->port]);

        self::assertStringContainsString("OK      endpoint   ws://127.0.0.1:{$this->port}/ (orosync.backend, from SYNC_BACKEND)", $check->getOutput());
    }

    public function testTheCheckConnectsToEachNode(): void
    {
        $this->startServer();
        $this->configure(self::TOPICS, "'//127.0.0.1:1 //127.0.0.1:{$this->port}'");
        $check = $this->check();

        self::assertSame(1, $check->getExitCode(), $check->getOutput());
        $lines = [
            "OK      endpoint   ws://127.0.0.1:1/ ws://127.0.0.1:{$this->port}/ (orosync.backend)",
            "OK      server     answers at ws://127.0.0.1:{$this->port}/ and accepts the secret",
            'ERROR   ticket     no connection to ws://127.0.0.1:1/. Is the server running?',
            "OK      ticket     the server at ws://127.0.0.1:{$this->port}/ accepts a browser ticket",
        ];
        foreach ($lines as $line) {
            self::assertStringContainsString($line, $check->getOutput());
        }
        $publish = $this->console(['orosync:publish', 'oro/ping', '1']);
        self::assertSame(0, $publish->run(), $publish->getErrorOutput());
    }

    /** @dataProvider pages */
    #[DataProvider('pages')]
    public function testTheCheckReportsTheAddressForBrowsersOfAPage(string $frontend, string $page, string $line): void
    {
        $this->configure(self::TOPICS, null, $frontend);
        $this->startServer();
        $check = $this->check(['--page', str_replace('PORT', (string) $this->port, $page)]);

        self::assertStringContainsString(str_replace('PORT', (string) $this->port, $line), $check->getOutput());
    }

    public static function pages(): iterable
    {
        yield 'beside the page' => ['/ws', 'http://127.0.0.1:PORT/orders', 'OK      browsers   a page of http://127.0.0.1:PORT connects to ws://127.0.0.1:PORT/ws (orosync.frontend)'];
        yield 'a page that is encrypted, and a server that is not' => ["'ws://127.0.0.1:1/ws'", 'https://127.0.0.1/', 'ERROR   browsers   a page of https://127.0.0.1 connects to ws://127.0.0.1:1/ws (orosync.frontend), which browsers forbid'];
        yield 'nobody is there' => ["'ws://127.0.0.1:1/ws'", 'http://127.0.0.1/', 'WARNING browsers   No answer from there, as seen from this machine: a page of http://127.0.0.1 connects to ws://127.0.0.1:1/ws'];
        yield 'switched off' => ["''", 'http://127.0.0.1/', 'WARNING browsers   switched off: the frontend is empty (orosync.frontend)'];
    }

    public function testAFrontendPathKeepsItsQuery(): void
    {
        $this->startServer();
        $ticket = trim($this->console(['orosync:ticket'])->mustRun()->getOutput());

        $address = "ws://127.0.0.1:{$this->port}/ws?tenant=1";

        self::assertSame(ServerProbe::ACCEPTED, (new ServerProbe())->probe($address, $ticket));
        self::assertSame(ServerProbe::TICKET_REJECTED, (new ServerProbe())->probe($address, 'no ticket'));
    }

    /** @dataProvider commandsThatShowIt */
    #[DataProvider('commandsThatShowIt')]
    public function testAnswersOfAServerAreEscapedForTheTerminal(string ...$command): void
    {
        $this->project->write('admin.php', <<<'PHP'
            <?php

            echo json_encode(match ($_SERVER['REQUEST_URI']) {
                '/topics' => [
                    'topics' => [['pattern' => 'acme/orders/{uid:int}', 'subscribe' => "\x1b[2J<info>\u{202E}", 'publish' => "a\nb"]],
                    'allowed_origins' => [],
                ],
                '/refusals' => ['refusals' => [['topic' => "\x1b]0;x\x07", 'action' => "\x9b", 'reason' => "r\r\n", 'count' => 1, 'seconds_ago' => 1]]],
            }, JSON_INVALID_UTF8_SUBSTITUTE);

            PHP);
        $admin = $this->project->php(['-S', '127.0.0.1:' . $this->adminPort, 'admin.php']);
        $admin->start();
        $this->running[] = $admin;
        Wait::until(fn (): bool => false !== @fsockopen('127.0.0.1', $this->adminPort), $admin->getErrorOutput(...));
        $shown = $this->console([...$command, '--server', 'http://127.0.0.1:' . $this->adminPort]);
        $shown->run();

        self::assertStringContainsString('the server has subscribe = "?[2J<info>?", publish = "a b"', $shown->getOutput());
        self::assertDoesNotMatchRegularExpression('~[^\P{C}\n]~u', $shown->getOutput());
    }

    public static function commandsThatShowIt(): iterable
    {
        yield ['orosync:check'];
        yield ['orosync:topics:export', '--check'];
    }

    public function testErrorsAreEscapedForTheTerminal(): void
    {
        $this->project->write('admin.php', "<?php echo \"\\x1b[2J\\xff\\u{202E}no JSON\";\n");
        $admin = $this->project->php(['-S', '127.0.0.1:' . $this->adminPort, 'admin.php']);
        $admin->start();
        $this->running[] = $admin;
        Wait::until(fn (): bool => false !== @fsockopen('127.0.0.1', $this->adminPort), $admin->getErrorOutput(...));
        $shown = $this->console(['orosync:topics:export', '--check', '--server', 'http://127.0.0.1:' . $this->adminPort]);
        $shown->run();

        self::assertStringContainsString('is not one of orosync-server: ?[2J??no JSON', $shown->getErrorOutput());
    }

    public function testAWatcherReceivesPublishedMessagesAndNoCommandLineContainsTheSecret(): void
    {
        $this->startServer();
        $watch = $this->console(['orosync:watch', 'oro/ping', 'acme/orders/7']);
        $watch->start();
        $this->running[] = $watch;
        Wait::until(static fn (): bool => str_contains($watch->getErrorOutput(), 'subscribed to 2 topics'), $watch->getErrorOutput(...));
        // The command has replaced itself by the server.
        $line = file_get_contents(sprintf('/proc/%d/cmdline', $watch->getPid()));
        self::assertStringContainsString("orosync-server\0watch\0--endpoint\0ws://127.0.0.1:{$this->port}/\0", $line);
        self::assertStringNotContainsString(hash('sha256', 'orosync:the secret of a fresh application'), $line);

        $this->console(['orosync:publish', 'oro/ping', '"hello"'])->mustRun();
        $this->console(['orosync:publish', 'acme/orders/7', '--', '-1'])->mustRun();
        $this->console(['orosync:publish', 'acme/orders/7', '-'])->setInput("{\"a\":1}\n2\n")->mustRun();
        Wait::until(static fn (): bool => str_ends_with($watch->getOutput(), "\t2\n"), $watch->getOutput(...));

        self::assertSame("oro/ping\t\"hello\"\nacme/orders/7\t-1\nacme/orders/7\t{\"a\":1}\nacme/orders/7\t2\n", $watch->getOutput());
        $watch->signal(\SIGINT);
        self::assertSame(0, $watch->wait());
    }

    public function testATicketOpensASessionAndDisconnectEndsIt(): void
    {
        $this->startServer();
        $ticket = trim($this->console(['orosync:ticket'])->mustRun()->getOutput());
        $browser = new WampClient("ws://127.0.0.1:{$this->port}/ws?ticket=$ticket");
        $browser->subscribe('oro/maintenance');

        $this->console(['orosync:disconnect', '--role', 'user', '--uid', '7'])->mustRun();
        $wrong = $this->console(['orosync:disconnect', '--role', 'user']);
        self::assertSame(2, $wrong->run(), 'as the server\'s own command');
    }

    public function testTheCommandsInTheDocumentationWork(): void
    {
        $this->startServer();
        self::assertGreaterThan(4, preg_match_all('~^bin/console (orosync:.+)$~m', self::document(), $lines));
        foreach ($lines[1] as $line) {
            // The application has no users, and the watch commands run until they are stopped.
            if (str_starts_with($line, 'orosync:watch') || str_starts_with($line, 'orosync:check')) {
                continue;
            }
            $arguments = str_getcsv(str_replace("'", '', preg_replace('~^(orosync:ticket) anna$~', '$1', $line)), ' ', '`', '');
            $this->console($arguments)->mustRun();
        }
    }

    private static function document(): string
    {
        return file_get_contents(\dirname(__DIR__, 3) . '/docs/operate.md');
    }

    private function startServer(): void
    {
        $this->running[] = $this->project->startServer(['OROSYNC_ADMIN_BIND' => '127.0.0.1:' . $this->adminPort]);
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment
     */
    private function check(array $arguments = [], array $environment = []): Process
    {
        $check = $this->project->console(['orosync:check', '--server', 'http://127.0.0.1:' . $this->adminPort, ...$arguments], $environment);
        $check->run();

        return $check;
    }

    /** @param list<string> $arguments */
    private function console(array $arguments): Process
    {
        return $this->project->console($arguments);
    }

    private function configure(string $more, ?string $backend = null, ?string $frontend = null): void
    {
        $backend ??= "'//127.0.0.1:{$this->port}'";
        $frontend ??= "'//*:{$this->port}/ws'";
        $binary = Project::serverBinary();
        // Symfony does not detect a change within the same second.
        (new Filesystem())->remove($this->project->directory . '/var/cache');
        $this->project->write('config/packages/orosync.yaml', <<<YAML
            orosync:
                backend: $backend
                frontend: $frontend
                server: {bind: '//127.0.0.1:{$this->port}', binary: '$binary'}
                $more
            YAML);
    }
}
