<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\RefusalLog;
use Orosync\Tests\Application\RecordingLogger;
use PHPUnit\Framework\TestCase;

final class RefusalLogTest extends TestCase
{
    private string $file;
    private RecordingLogger $logger;

    protected function setUp(): void
    {
        $this->file = getenv('OROSYNC_TEST_DIRECTORY') . '/refusals-' . bin2hex(random_bytes(4)) . '/refused-topics';
        $this->logger = new RecordingLogger();
    }

    public function testATopicIsWarnedOfOnceForAllRequests(): void
    {
        for ($request = 0; $request < 3; ++$request) {
            (new RefusalLog($this->file, $this->logger))->met([self::refusal('acme/x'), self::refusal('acme/y')]);
        }

        self::assertSame(
            [
                'warning: The server delivers messages to acme/x to nobody: nobody declared it',
                'warning: The server delivers messages to acme/y to nobody: nobody declared it',
            ],
            $this->logger->lines(),
        );
    }

    public function testTopicsThatAreMadeOfDataFillNoDisk(): void
    {
        for ($order = 0; $order < 100; ++$order) {
            (new RefusalLog($this->file, $this->logger))->met([self::refusal('acme/order/' . $order)]);
        }

        self::assertCount(50, $this->logger->lines());
        self::assertLessThan(4096, filesize($this->file));
    }

    public function testAfterADayItIsSaidAgain(): void
    {
        (new RefusalLog($this->file, $this->logger))->met([self::refusal('acme/x')]);
        file_put_contents($this->file, json_encode(['since' => time() - 90_000, 'topics' => ['acme/x']], \JSON_THROW_ON_ERROR));
        (new RefusalLog($this->file, $this->logger))->met([self::refusal('acme/x')]);

        self::assertCount(2, $this->logger->lines());
    }

    public function testWhereNothingCanBeRememberedItIsSaidAllTheSame(): void
    {
        (new RefusalLog('/proc/nowhere/refused-topics', $this->logger))->met([self::refusal('acme/x')]);
        (new RefusalLog($this->file, $this->logger))->met([]);

        self::assertCount(1, $this->logger->lines());
        self::assertFileDoesNotExist($this->file);
    }

    /** @return array{topic: string, reason: string, messages: int} */
    private static function refusal(string $topic): array
    {
        return ['topic' => $topic, 'reason' => 'nobody declared it', 'messages' => 1];
    }
}
