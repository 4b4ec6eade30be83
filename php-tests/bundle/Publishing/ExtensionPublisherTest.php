<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\ExtensionPublisher;
use Orosync\Publishing\OutageLog;
use Orosync\Publishing\PublisherStatus;
use Orosync\Publishing\RefusalLog;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Jwt;
use Orosync\Tests\Wait;
use Orosync\Ticket\TicketUnavailableException;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;

/**
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class ExtensionPublisherTest extends PublisherContractTestCase
{
    private const SECRET = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

    private string $directory;
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        $this->directory = getenv('BUNDLE_TEST_DIRECTORY') . '/publisher-' . bin2hex(random_bytes(4));
        $this->logger = new RecordingLogger();
    }

    public function testAMessageThatCannotBeSentIsLoggedWithItsTopic(): void
    {
        $this->unreachable()->publish('oro/ping', "\xE9");

        self::assertCount(1, $this->logger->lines('error: A message to oro/ping is invalid: '));
    }

    public function testAFullQueueIsLoggedOnceForAllRequests(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            $publisher = $this->publisher(['queue_messages' => 10]);
            for ($i = 0; $i < 20; ++$i) {
                $publisher->publish('oro/ping', $i);
            }
            self::assertFalse($publisher->publish('oro/ping', 'one too many'));
        }

        self::assertCount(1, $this->logger->lines('error: The queue of live notifications is full'));
        self::assertSame(10, $publisher->status()->accepted);
    }

    public function testALostConnectionIsLoggedOnceForAllRequestsAtTheirEnd(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            $publisher = $this->unreachable();
            self::assertTrue($publisher->publish('oro/ping', 'kept'));
            Wait::until(
                static fn (): bool => 'backing-off' === $publisher->status()->state,
                static fn (): string => $publisher->status()->state,
            );
            self::assertCount(min($request, 1), $this->logger->lines());
            $publisher->reportOutage();
        }

        self::assertCount(1, $this->logger->lines('error: The server of live notifications does not answer at ws://127.0.0.1:1/ ('));
    }

    public function testInvalidSettingsAreLoggedOnceAndDoNotThrow(): void
    {
        $publisher = $this->publisher(['secret' => '', 'secret_file' => '/nonexistent/secret']);

        self::assertFalse($publisher->publish('oro/ping', 1));
        self::assertFalse($publisher->publish('oro/ping', 2));
        self::assertFalse($publisher->flush());
        self::assertSame(PublisherStatus::UNAVAILABLE, $publisher->status()->state);
        self::assertCount(1, $this->logger->lines('error: Live notifications are not sent: '));
    }

    public function testWithInvalidSettingsNoTicketIsIssued(): void
    {
        $this->expectException(TicketUnavailableException::class);

        $this->publisher(['secret' => 'too short'])->issue([], 300);
    }

    public function testATicketContainsTheClaimsAndTheExpiry(): void
    {
        $ticket = $this->unreachable()->issue(['sub' => 'ann', 'uid' => 7, 'org' => 3, 'role' => 'user'], 60);
        $claims = Jwt::verified($ticket, self::SECRET);

        self::assertSame(['orosync', 'ann', 7, 3, 'user'], [$claims['aud'], $claims['sub'], $claims['uid'], $claims['org'], $claims['role']]);
        self::assertSame(60, $claims['exp'] - $claims['iat']);
        self::assertNotSame($claims['jti'], Jwt::verified($this->unreachable()->issue([], 60), self::SECRET)['jti']);
    }

    public function testARequestWithoutMessagesReportsNoOutage(): void
    {
        $this->unreachable()->reportOutage();

        self::assertSame([], $this->logger->lines());
    }

    protected function unreachable(): ExtensionPublisher
    {
        return $this->publisher([]);
    }

    /** @param array<string, mixed> $options */
    private function publisher(array $options): ExtensionPublisher
    {
        return new ExtensionPublisher(
            // Port 1 has no listener.
            'ws://127.0.0.1:1/',
            // Publishers with equal settings share a connection and its counters, so each test has its own settings.
            $options + ['secret' => self::SECRET, 'shutdown_timeout' => 0.0, 'connect_timeout' => 1.0 + crc32($this->directory) / 0xFFFFFFFF],
            new OutageLog($this->directory . '/connection', $this->logger),
            new OutageLog($this->directory . '/messages', $this->logger),
            new RefusalLog($this->directory . '/refused-topics', $this->logger),
            $this->logger,
        );
    }
}
