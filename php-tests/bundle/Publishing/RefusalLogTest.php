<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\RefusalLog;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\FreshApplication\Project;
use PHPUnit\Framework\TestCase;

final class RefusalLogTest extends TestCase
{
    private string $file;
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        $this->file = getenv('BUNDLE_TEST_DIRECTORY') . '/refusals-' . bin2hex(random_bytes(4)) . '/refused-topics';
        $this->logger = new RecordingLogger();
    }

    public function testARefusedTopicIsLoggedOnceForAllRequests(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x'), self::refusal('acme/y')]);
        }

        self::assertSame(
            [
                'warning: The server does not deliver messages to acme/x: nobody declared it',
                'warning: The server does not deliver messages to acme/y: nobody declared it',
            ],
            $this->logger->lines(),
        );
    }

    public function testTheNumberOfRecordedTopicsIsBounded(): void
    {
        for ($order = 0; $order < 100; ++$order) {
            (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/order/' . $order)]);
        }

        self::assertCount(50, $this->logger->lines());
        self::assertLessThan(4096, filesize($this->file));
    }

    public function testTheWarningIsRepeatedAfterADayIfMoreMessagesWereRefused(): void
    {
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x')]);
        $this->aDayPasses();
        // A process lists a topic for its lifetime, even if the topic has been declared since.
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x')]);
        self::assertCount(1, $this->logger->lines());

        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x', 2)]);
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x', 3)]);
        self::assertCount(2, $this->logger->lines());
    }

    public function testAnUnrecordedProcessWarnsAfterAnotherRefusal(): void
    {
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x')]);
        file_put_contents($this->file, str_replace('"' . getmypid() . '"', '"1"', file_get_contents($this->file)));
        $this->aDayPasses();
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x', 7)]);
        self::assertCount(1, $this->logger->lines());

        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x', 8)]);
        self::assertCount(2, $this->logger->lines());
    }

    public function testAWorkerReadsTheFileOnlyAfterAnotherRefusal(): void
    {
        $log = new RefusalLog($this->file, $this->logger);
        $log->record([self::refusal('acme/x')]);
        unlink($this->file);
        $log->record([self::refusal('acme/x')]);
        self::assertFileDoesNotExist($this->file);

        $log->record([self::refusal('acme/x', 2)]);
        self::assertCount(2, $this->logger->lines());
    }

    public function testReadingKnownRefusalsDoesNotWaitForTheLock(): void
    {
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x')]);
        $file = fopen($this->file, 'r');
        self::assertTrue(flock($file, \LOCK_EX));
        // With the lock it would wait forever.
        (new Project())->php(['-r', sprintf(
            'require getenv("OROSYNC_TEST_BOOTSTRAP"); (new %s(%s, new Psr\Log\NullLogger()))->record([%s]);',
            RefusalLog::class,
            var_export($this->file, true),
            var_export(self::refusal('acme/x', 2), true),
        )])->setTimeout(20)->mustRun();
        fclose($file);

        self::assertSame([getmypid() => 1], json_decode(file_get_contents($this->file), true)['acme/x']['messages']);
    }

    public function testTheOldestRecordsAreDropped(): void
    {
        for ($day = 0; $day < 2; ++$day) {
            for ($order = 0; $order < 60; ++$order) {
                (new RefusalLog($this->file, $this->logger))->record([self::refusal("acme/$day/$order")]);
            }
            self::assertCount(50 * (1 + $day), $this->logger->lines());
            $this->aDayPasses();
        }
        self::assertCount(50, json_decode(file_get_contents($this->file), true));
    }

    public function testTheFileIsKeptIfTheNewContentCannotBeEncoded(): void
    {
        (new RefusalLog($this->file, $this->logger))->record([self::refusal('acme/x')]);
        $written = file_get_contents($this->file);
        try {
            (new RefusalLog($this->file, $this->logger))->record([self::refusal("acme/\xE9")]);
            self::fail('The topic cannot be encoded as JSON.');
        } catch (\JsonException) {
            self::assertStringEqualsFile($this->file, $written);
        }
    }

    public function testWithoutAFileEachObjectWarnsOnce(): void
    {
        for ($request = 0; $request < 2; ++$request) {
            $log = new RefusalLog('/proc/nowhere/refused-topics', $this->logger);
            $log->record([self::refusal('acme/x')]);
            $log->record([self::refusal('acme/x', 2)]);
            self::assertCount(1 + $request, $this->logger->lines());
        }
        (new RefusalLog($this->file, $this->logger))->record([]);
        self::assertFileDoesNotExist($this->file);
    }

    private function aDayPasses(): void
    {
        $text = file_get_contents($this->file);
        file_put_contents($this->file, preg_replace_callback(
            '~"warned":(\d+)~',
            static fn (array $time): string => '"warned":' . ($time[1] - 90_000),
            $text,
        ));
    }

    /** @return array{topic: string, reason: string, messages: int} */
    private static function refusal(string $topic, int $messages = 1): array
    {
        return ['topic' => $topic, 'reason' => 'nobody declared it', 'messages' => $messages];
    }
}
