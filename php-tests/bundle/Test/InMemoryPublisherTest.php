<?php

declare(strict_types=1);

namespace Orosync\Tests\Test;

use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Publishing\PublisherContractTestCase;

final class InMemoryPublisherTest extends PublisherContractTestCase
{
    public function testFlushReturnsWhetherAllMessagesAreAcknowledged(): void
    {
        $publisher = new InMemoryPublisher();
        $publisher->publish('oro/ping', 'x');

        self::assertTrue($publisher->flush(0.0), 'there is no server to wait for');
    }

    public function testAMessageIsKeptAsPagesReceiveIt(): void
    {
        $publisher = new InMemoryPublisher();
        $publisher->publish('acme/orders', (object) ['name' => 'Zoë/1'], ['a'], ['b']);
        [$message] = $publisher->messages();

        self::assertSame('acme/orders', $message->topic);
        self::assertSame(['name' => 'Zoë/1'], $message->payload);
        self::assertSame('{"name":"Zoë/1"}', $message->json);
        self::assertSame([['a'], ['b']], [$message->exclude, $message->eligible]);
    }

    public function testAnInvalidMessageIsRefusedWithItsReason(): void
    {
        $publisher = new InMemoryPublisher();

        self::assertFalse($publisher->publish("a\n", 1));
        self::assertSame([], $publisher->messages());
        self::assertSame(['"a\n": a topic must be 1 to 255 bytes of UTF-8 without control characters'], $publisher->refusals());
    }

    protected function unreachable(): PublisherInterface
    {
        return new InMemoryPublisher();
    }
}
