<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\OutageLog;
use Orosync\Publishing\PublisherStatus;
use Orosync\Publishing\UnavailablePublisher;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Ticket\TicketUnavailableException;
use Psr\Log\LogLevel;

final class UnavailablePublisherTest extends PublisherContractTestCase
{
    private string $file;
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        $this->file = getenv('BUNDLE_TEST_DIRECTORY') . '/unavailable-' . bin2hex(random_bytes(4));
        $this->logger = new RecordingLogger();
    }

    public function testTheReasonIsLoggedOnceForAllRequests(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            $publisher = $this->unreachable();
            $publisher->publish('oro/ping', 1);
            $publisher->publish('oro/ping', 2);
        }

        self::assertSame(['warning: Live notifications are not sent: it is not there.'], $this->logger->lines());
    }

    public function testNothingIsLoggedWithoutMessages(): void
    {
        $publisher = $this->unreachable();
        $publisher->flush();
        $publisher->status();

        self::assertSame([], $this->logger->lines());
    }

    public function testTheStatusContainsTheReason(): void
    {
        $status = $this->unreachable()->status();

        self::assertSame(PublisherStatus::UNAVAILABLE, $status->state);
        self::assertSame('it is not there.', $status->lastError);
    }

    public function testNoTicketIsIssued(): void
    {
        $this->expectException(TicketUnavailableException::class);
        $this->expectExceptionMessage('it is not there.');

        $this->unreachable()->issue([], 300);
    }

    protected function unreachable(): UnavailablePublisher
    {
        return new UnavailablePublisher('it is not there.', LogLevel::WARNING, new OutageLog($this->file, $this->logger));
    }
}
