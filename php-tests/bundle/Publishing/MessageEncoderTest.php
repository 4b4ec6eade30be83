<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\ExtensionPublisher;
use Orosync\Publishing\MessageEncoder;
use Orosync\Publishing\OutageLog;
use Orosync\Publishing\RefusalLog;
use Orosync\Publishing\UnsendableMessageException;
use Orosync\Tests\Application\RecordingLogger;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;

final class MessageEncoderTest extends TestCase
{
    public function testThePayloadIsEncodedAsPagesReceiveIt(): void
    {
        self::assertSame('{"name":"Zoë/1"}', MessageEncoder::encode('acme', ['name' => 'Zoë/1']));
    }

    /** @dataProvider messages */
    #[DataProvider('messages')]
    public function testAnInvalidMessageIsRefusedWithTheReason(string $topic, mixed $payload, ?string $reason): void
    {
        try {
            MessageEncoder::encode($topic, $payload);
            $said = null;
        } catch (UnsendableMessageException $e) {
            $said = $e->getMessage();
        }

        self::assertSame($reason, $said);
    }

    /**
     * @dataProvider messages
     *
     * @group extension
     *
     * @requires extension orosync
     */
    #[DataProvider('messages')]
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testTheExtensionRefusesTheSameMessages(string $topic, mixed $payload, ?string $reason): void
    {
        $directory = getenv('BUNDLE_TEST_DIRECTORY') . '/form-' . bin2hex(random_bytes(4));
        $logger = new RecordingLogger();
        $publisher = new ExtensionPublisher(
            // Port 1 has no listener.
            'ws://127.0.0.1:1/',
            ['secret' => str_repeat('0123456789abcdef', 4), 'shutdown_timeout' => 0.0],
            new OutageLog($directory . '/connection', $logger),
            new OutageLog($directory . '/messages', $logger),
            new RefusalLog($directory . '/refused-topics', $logger),
            $logger,
        );

        self::assertSame(null === $reason, $publisher->publish($topic, $payload));
    }

    public static function messages(): iterable
    {
        $topic = 'a topic must be 1 to 255 bytes of UTF-8 without control characters';
        yield 'a message' => ['acme/orders', 1, null];
        yield 'no topic' => ['', 1, $topic];
        yield 'the longest topic' => [str_repeat('é', 127) . 'e', 1, null];
        yield 'a longer topic' => [str_repeat('é', 128), 1, $topic];
        yield 'a line break at the end of a topic' => ["a\n", 1, $topic];
        yield 'a control character of Unicode' => ["a\u{85}", 1, $topic];
        yield 'a topic that is no UTF-8' => ["\xE9", 1, $topic];
        yield 'infinity' => ['a', \INF, 'the payload cannot be encoded as JSON: Inf and NaN cannot be JSON encoded'];
        yield 'a text that is no UTF-8' => ['a', "\xE9", 'the payload cannot be encoded as JSON: Malformed UTF-8 characters, possibly incorrectly encoded'];
        yield 'the largest payload' => ['a', str_repeat('x', (1 << 20) - 2), null];
        yield 'a larger payload' => ['a', str_repeat('x', (1 << 20) - 1), 'the payload has 1048577 bytes of JSON; the limit is 1048576'];
    }
}
