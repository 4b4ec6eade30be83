<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Doctrine\Persistence\ManagerRegistry;
use Orosync\Command\ServerBinary;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\ServerProbe;
use Orosync\Oro\Topics\Obstacles;
use Orosync\Publishing\OutageLog;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\UnavailablePublisher;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Application\OwnConnection;
use Orosync\Tests\Application\ReadableTicketIssuer;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use PHPUnit\Framework\TestCase;
use Psr\Log\LogLevel;
use Psr\Log\NullLogger;
use Symfony\Component\Filesystem\Filesystem;

/** What orosync:migrate reports about its machine. */
final class ObstaclesTest extends TestCase
{
    private string $directory;

    protected function setUp(): void
    {
        StandIns::register();
        $this->directory = getenv('BUNDLE_TEST_DIRECTORY') . '/obstacles-' . bin2hex(random_bytes(4));
        mkdir($this->directory);
    }

    public function testAWorkingInstallationHasNoObstacles(): void
    {
        (new Filesystem())->dumpFile($this->directory . '/bundles/orosync/js/sync.js', '');

        self::assertSame([], $this->find());
    }

    public function testAnUnavailablePublisherIsReportedWithItsReason(): void
    {
        $unavailable = new UnavailablePublisher('the PHP extension "orosync" is not loaded (cli).', LogLevel::WARNING, new OutageLog($this->directory, new NullLogger()));

        // Without a secret no ticket can be issued for the check of the port either; the cause is reported once.
        self::assertSame(
            ['Nothing is sent: the PHP extension "orosync" is not loaded (cli).'],
            $this->find(publisher: $unavailable, tickets: $unavailable, address: '//127.0.0.1:1'),
        );
    }

    public function testAMissingServerIsReported(): void
    {
        self::assertSame(
            ['orosync.server.binary: "/nowhere/orosync-server" is not an executable file.'],
            $this->find(binary: '/nowhere/orosync-server'),
        );
    }

    public function testAPortOfAnotherProgramIsReported(): void
    {
        // Accepts connections and never answers; Oro's server would answer differently from orosync-server.
        $program = stream_socket_server('tcp://127.0.0.1:0');
        $address = stream_socket_get_name($program, false);

        $found = $this->find(address: '//' . $address);
        self::assertCount(1, $found);
        self::assertStringStartsWith($address . ': another program is running there, not orosync-server. If it is Oro\'s old server, stop it first;', $found[0]);
    }

    public function testAnInvalidAddressIsReported(): void
    {
        $found = $this->find(address: '//127.0.0.1:http');

        self::assertCount(1, $found);
        self::assertStringStartsWith('websocket_server_dsn', $found[0]);
    }

    public function testAssetsThatReplaceOrosJavaScriptAreReported(): void
    {
        (new Filesystem())->mirror(\dirname(__DIR__, 3) . '/js/src', $this->directory . '/bundles/orosync');

        self::assertSame(
            [$this->directory . '/bundles/orosync contains Orosync\'s browser client instead of Oro\'s JavaScript. Run oro:assets:install.'],
            $this->find(),
        );
    }

    public function testADefaultConnectionThatReportsNoTransactionsIsReported(): void
    {
        $found = $this->find(connection: $this->connection(OwnConnection::class));

        self::assertCount(1, $found);
        self::assertStringStartsWith('The default connection (' . OwnConnection::class . ') does not report transactions to Oro:', $found[0]);
    }

    public function testADefaultConnectionWithoutAutoCommitIsReported(): void
    {
        self::assertSame(
            ['The default connection has auto_commit: false. Tags are sent with the flush, before the commit.'],
            $this->find(connection: $this->connection(WatchedConnection::class, autoCommit: false)),
        );
    }

    public function testFunctionalTestsThatNeedAServerAreReported(): void
    {
        self::assertSame(
            ['In the environment "test" messages are sent to a server, so functional tests need one. Remove orosync.test: false.'],
            $this->find(environment: 'test'),
        );
        self::assertSame([], $this->find(publisher: new InMemoryPublisher(), environment: 'test'));
    }

    /** @return list<string> */
    private function find(
        ?PublisherInterface $publisher = null,
        ?TicketIssuerInterface $tickets = null,
        string $binary = \PHP_BINARY,
        string $address = '',
        ?Connection $connection = null,
        string $environment = 'prod',
    ): array {
        $doctrine = $this->createMock(ManagerRegistry::class);
        $doctrine->method('getConnection')->willReturn($connection ?? $this->connection(WatchedConnection::class));

        return (new Obstacles(
            $publisher ?? new RecordingPublisher(),
            $tickets ?? new ReadableTicketIssuer(),
            new ServerBinary($binary, []),
            new BindAddress(['key' => 'websocket_server_dsn', 'dsn' => $address]),
            new ServerProbe(),
            $this->directory,
            $doctrine,
            $environment,
        ))->find();
    }

    /** @param class-string<Connection> $class */
    private function connection(string $class, bool $autoCommit = true): Connection
    {
        $connection = DriverManager::getConnection(['driver' => 'pdo_sqlite', 'memory' => true, 'wrapperClass' => $class]);
        $connection->setAutoCommit($autoCommit);

        return $connection;
    }
}
