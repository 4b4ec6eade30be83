<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\OutageLog;
use Orosync\Tests\Application\RecordingLogger;
use PHPUnit\Framework\TestCase;
use Psr\Log\LogLevel;

/** A new OutageLog represents the next request or another process. */
final class OutageLogTest extends TestCase
{
    private string $file;
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        $this->file = getenv('BUNDLE_TEST_DIRECTORY') . '/' . bin2hex(random_bytes(4)) . '/outage';
        $this->logger = new RecordingLogger();
    }

    public function testTheFirstAffectedRequestLogsAnOutage(): void
    {
        $this->meet();
        $this->meet();

        self::assertSame(['warning: lost'], $this->logger->lines());
    }

    public function testAnOutageContinuesWhileRequestsAreAffected(): void
    {
        $this->meet();
        $this->findWell();
        $this->meet();

        self::assertSame(['warning: lost'], $this->logger->lines());
    }

    public function testAnOutageEndsAfterAMinuteWithoutAffectedRequests(): void
    {
        $this->meet();
        touch($this->file, time() - 61);
        $this->findWell();
        $this->findWell();

        self::assertSame(['warning: lost', 'notice: found'], $this->logger->lines());
    }

    public function testTheNextOutageIsLoggedAgain(): void
    {
        $log = $this->meet();
        touch($this->file, time() - 61);
        $log->resolved('found', []);
        $log->affected(LogLevel::WARNING, 'lost', []);

        self::assertSame(['warning: lost', 'notice: found', 'warning: lost'], $this->logger->lines());
    }

    public function testAnotherAffectedRequestExtendsTheOutage(): void
    {
        $this->meet();
        touch($this->file, time() - 61);
        $this->meet();
        $this->findWell();

        self::assertSame(['warning: lost'], $this->logger->lines());
    }

    public function testAnOutageWithoutAnObservedEndIsForgottenAfterADay(): void
    {
        $this->meet();
        touch($this->file, time() - 86_401);
        $this->meet();

        self::assertSame(['warning: lost', 'warning: lost'], $this->logger->lines());
    }

    public function testWithoutAFileEveryRequestLogsItOnce(): void
    {
        // A file instead of the directory: not even root can write there.
        touch(\dirname($this->file));
        $log = $this->meet();
        $log->affected(LogLevel::WARNING, 'lost', []);
        $this->meet();

        self::assertSame(['warning: lost', 'warning: lost'], $this->logger->lines());
    }

    public function testWithoutAnOutageNothingIsWritten(): void
    {
        $this->findWell();

        self::assertFileDoesNotExist($this->file);
        self::assertSame([], $this->logger->lines());
    }

    private function meet(): OutageLog
    {
        $log = new OutageLog($this->file, $this->logger);
        $log->affected(LogLevel::WARNING, 'lost', []);

        return $log;
    }

    private function findWell(): void
    {
        (new OutageLog($this->file, $this->logger))->resolved('found', []);
    }
}
