<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Orosync\Maintenance\MaintenanceMode;
use Orosync\Messenger\NotPublishedException;
use Orosync\Messenger\Publish;
use Orosync\Messenger\PublishHandler;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\User;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\Console\Tester\CommandTester;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Process\PhpExecutableFinder;
use Symfony\Component\Process\Process;

/**
 * Application, extension and server together. The server is started by the command; only a free port is configured.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class ServerRoundTripTest extends ApplicationTestCase
{
    private const WITH = ['security', 'doctrine', 'publisher', 'tickets'];

    private int $port;
    private string $binary;
    private ?Process $server = null;
    private ?Process $watch = null;

    protected function setUp(): void
    {
        $this->binary = getenv('OROSYNC_SERVER') ?: \dirname(__DIR__, 2) . '/target/release/orosync-server';
        if (!is_executable($this->binary)) {
            $message = sprintf('"%s" is not there. Build it with "cargo build --release", or set OROSYNC_SERVER to its path.', $this->binary);
            '1' === getenv('OROSYNC_EXTENSION_REQUIRED') ? self::fail($message) : self::markTestSkipped($message);
        }
        $socket = stream_socket_server('tcp://127.0.0.1:0');
        $this->port = (int) substr(strrchr(stream_socket_get_name($socket, false), ':'), 1);
        fclose($socket);
    }

    protected function tearDown(): void
    {
        $this->watch?->stop();
        $this->server?->stop();
        parent::tearDown();
    }

    public function testABrowserReceivesChangesAndMaintenance(): void
    {
        $this->boot($this->orosync(), [], self::WITH);
        $publisher = $this->kernel()->getContainer()->get(PublisherInterface::class);
        $this->startServer();
        $this->startWatching($publisher);

        $this->logIn(new User('ann', 7, null));
        $manager = $this->manager();
        $manager->persist(new Company('acme'));
        $manager->flush();
        self::assertSame(
            '[{"username":"ann","tagname":"Orosync_Tests_Application_Entity_Company_type_collection"}]',
            $this->arrived('oro/data/update'),
        );

        $this->kernel()->getContainer()->get(MaintenanceMode::class)->on();
        self::assertSame('{"isOn":true,"userId":7}', $this->arrived('oro/maintenance'));
    }

    public function testTheMaintenanceCommandWaitsForTheAcknowledgement(): void
    {
        $this->boot($this->orosync(), [], self::WITH);
        $this->startServer();
        $this->startWatching($this->kernel()->getContainer()->get(PublisherInterface::class));
        $command = $this->console(['orosync:maintenance', 'on']);
        $command->mustRun();

        self::assertSame("Maintenance mode is on.\nAll open pages are notified.\n", $command->getOutput());
        self::assertSame('{"isOn":true,"userId":null}', $this->arrived('oro/maintenance'));
    }

    public function testWithoutAServerTheMaintenanceCommandStillSwitches(): void
    {
        $command = $this->console(['orosync:maintenance', 'on']);

        self::assertSame(0, $command->run());
        self::assertStringContainsString('Open pages are not notified yet: ws://127.0.0.1:' . $this->port, $command->getOutput());
        self::assertFileExists($this->orosync()['maintenance']['flag_file']);
    }

    public function testAServerWithAnotherSecretIsReportedAsARefusal(): void
    {
        $this->startServer();
        $other = ['secret' => 'a secret that the server does not have: 0123'] + $this->orosync();
        $publisher = $this->boot($other, [], self::WITH)->get(PublisherInterface::class);
        self::assertTrue($publisher->publish('oro/ping', 'kept'));
        self::assertFalse($publisher->flush(20.0));
        self::assertSame('refused', $publisher->status()->state);
        $this->kernel()->terminate(Request::create('/'), new Response());

        self::assertCount(1, $this->logger()->lines(
            'error: The server of live notifications at ws://127.0.0.1:' . $this->port . '/ refuses this application (the server refuses this publisher (HTTP 401',
        ));
        self::assertSame([], $this->logger()->lines('does not answer'));

        try {
            (new PublishHandler($publisher))(new Publish('oro/ping', 1));
            self::fail('The handler should throw.');
        } catch (NotPublishedException $e) {
            self::assertStringStartsWith('A message to "oro/ping" is not published yet: the server refuses this application (link "refused"', $e->getMessage());
        }

        $console = new CommandTester($this->kernel()->getContainer()->get('orosync.maintenance_command'));
        self::assertSame(0, $console->execute(['mode' => 'on']));
        self::assertMatchesRegularExpression(
            '~Open pages are not notified: ws://127\.0\.0\.1:\d+/: the server refuses this publisher \(HTTP 401~',
            preg_replace('~\s+~', ' ', $console->getDisplay()),
        );
    }

    public function testTheServerEndsWithTheCommandAndExitCode0(): void
    {
        $this->startServer();
        $this->server->signal(\SIGTERM);

        self::assertSame(0, $this->server->wait(), $this->server->getErrorOutput());
    }

    public function testChangesSavedDuringAnOutageArriveAfterIt(): void
    {
        $this->boot($this->orosync(), [], self::WITH);
        $publisher = $this->kernel()->getContainer()->get(PublisherInterface::class);
        self::assertTrue($publisher->publish('oro/data/update', 'while it was down'));
        self::assertFalse($publisher->flush(0.05));
        $this->startServer();

        self::assertTrue($publisher->flush(20.0));
        self::assertSame(0, $publisher->status()->unacknowledged);
    }

    /** @return array<string, mixed> */
    private function orosync(): array
    {
        return [
            'backend' => '//127.0.0.1:' . $this->port,
            'server' => ['bind' => '//127.0.0.1:' . $this->port, 'binary' => $this->binary],
            'maintenance' => ['flag_file' => getenv('BUNDLE_TEST_DIRECTORY') . '/maintenance-' . $this->port],
        ];
    }

    private function startServer(): void
    {
        $this->server = $this->console(['orosync:server']);
        $this->server->start();
        Wait::until(
            fn (): bool => str_contains($this->server->getErrorOutput(), 'is ready'),
            fn (): string => $this->server->getErrorOutput(),
        );
    }

    /** Subscribes like a browser, and returns once messages arrive. */
    private function startWatching(PublisherInterface $publisher): void
    {
        $this->watch = new Process(
            [$this->binary, 'watch', 'oro/ping', 'oro/data/update', 'oro/maintenance', '--endpoint', 'ws://127.0.0.1:' . $this->port . '/'],
            null,
            ['OROSYNC_AUTH__SECRET' => hash('sha256', 'orosync:the application\'s own secret')],
            null,
            60,
        );
        $this->watch->start();
        Wait::until(function () use ($publisher): bool {
            $publisher->publish('oro/ping', 'there?');

            return str_contains($this->watch->getOutput(), "oro/ping\t");
        }, fn (): string => $this->watch->getErrorOutput() . $this->server->getErrorOutput());
    }

    /** @return string the payload of the first message of the topic, which is waited for */
    private function arrived(string $topic): string
    {
        $payload = '';
        Wait::until(function () use ($topic, &$payload): bool {
            $found = preg_match('~^' . preg_quote($topic) . '\t(.+)\n~m', $this->watch->getOutput(), $line);
            $payload = $line[1] ?? '';

            return 1 === $found;
        }, fn (): string => $this->watch->getOutput() . $this->watch->getErrorOutput());

        return $payload;
    }

    /** @param list<string> $arguments */
    private function console(array $arguments): Process
    {
        $php = [(new PhpExecutableFinder())->find(false), ...self::extension()];

        return new Process([...$php, __DIR__ . '/Application/console.php', ...$arguments], null, [
            'OROSYNC_TEST_KERNEL' => json_encode([$this->orosync(), [], self::WITH], \JSON_THROW_ON_ERROR),
            'BUNDLE_TEST_DIRECTORY' => getenv('BUNDLE_TEST_DIRECTORY'),
            // A free port, because several servers may run on this machine.
            'OROSYNC_ADMIN_BIND' => '127.0.0.1:0',
            'SHELL_VERBOSITY' => false,
        ], null, 60);
    }

    /** @return list<string> what makes a PHP that we start load the extension, if its own settings do not */
    private static function extension(): array
    {
        $loadedByItself = 0 === (new Process([(new PhpExecutableFinder())->find(false), '-r', 'exit(extension_loaded("orosync") ? 0 : 1);']))->run();
        if ($loadedByItself) {
            return [];
        }
        self::assertSame(1, preg_match('~/\S*orosync\S*\.so\b~', file_get_contents('/proc/self/maps'), $library));

        return ['-d', 'extension=' . $library[0]];
    }
}
