<?php

declare(strict_types=1);

namespace Orosync\Tests\Test;

use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Publishing\PublisherContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

final class InMemoryPublisherTest extends PublisherContractTestCase
{
    public function testFlushTellsWhetherAllHasArrived(): void
    {
        $publisher = new InMemoryPublisher();
        $publisher->publish('oro/ping', 'x');

        self::assertTrue($publisher->flush(0.0), 'there is no server that could be away');
    }

    public function testAMessageIsKeptAsPagesGetIt(): void
    {
        $publisher = new InMemoryPublisher();
        $publisher->publish('acme/orders', (object) ['name' => 'Zoë/1'], ['a'], ['b']);
        [$message] = $publisher->messages();

        self::assertSame('acme/orders', $message->topic);
        self::assertSame(['name' => 'Zoë/1'], $message->payload);
        self::assertSame('{"name":"Zoë/1"}', $message->json);
        self::assertSame([['a'], ['b']], [$message->exclude, $message->eligible]);
    }

    /** @dataProvider refused */
    #[DataProvider('refused')]
    public function testWhatTheServerWouldNotTakeIsRefusedHereToo(string $topic, mixed $payload, string $reason): void
    {
        $publisher = new InMemoryPublisher();

        self::assertFalse($publisher->publish($topic, $payload));
        self::assertSame([], $publisher->messages());
        self::assertSame([$reason], $publisher->refusals());
    }

    public static function refused(): iterable
    {
        yield 'no topic' => ['', 1, '"": a topic has 1 to 255 bytes of UTF-8, without control characters'];
        yield 'a long topic' => [
            str_repeat('t', 256), 1,
            '"' . str_repeat('t', 256) . '": a topic has 1 to 255 bytes of UTF-8, without control characters',
        ];
        yield 'a line break in the topic' => ["a\n", 1, '"a\n": a topic has 1 to 255 bytes of UTF-8, without control characters'];
        yield 'no JSON' => ['a', \INF, '"a": the payload is not JSON: Inf and NaN cannot be JSON encoded'];
        yield 'a large payload' => [
            'a', str_repeat('x', 1 << 20),
            '"a": the payload has 1048578 bytes of JSON, at most 1048576 are possible',
        ];
    }

    protected function unreachable(): PublisherInterface
    {
        return new InMemoryPublisher();
    }
}
