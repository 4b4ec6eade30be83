<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\PublisherInterface;
use PHPUnit\Framework\TestCase;

/** The contract of PublisherInterface, for every implementation. */
abstract class PublisherContractTestCase extends TestCase
{
    /** A publisher without a server, or with one that does not answer. */
    abstract protected function unreachable(): PublisherInterface;

    public function testOnlyAcceptedMessagesAreCounted(): void
    {
        $publisher = $this->unreachable();
        $before = $publisher->status()->accepted;
        $accepted = 0;
        foreach ([null, 'text', 1.5, ['isOn' => true], new \ArrayObject(['a' => 1])] as $payload) {
            $accepted += $publisher->publish('oro/ping', $payload) ? 1 : 0;
        }

        self::assertSame($accepted, $publisher->status()->accepted - $before);
    }

    public function testTheCountersAddUp(): void
    {
        $publisher = $this->unreachable();
        for ($i = 0; $i < 100; ++$i) {
            $publisher->publish('oro/ping', $i, ['session1'], ['session2']);
            $status = $publisher->status();
            self::assertSame($status->accepted, $status->acknowledged + $status->unacknowledged + $status->queued);
        }
    }

    public function testFlushReturnsWhetherAllMessagesAreAcknowledged(): void
    {
        $publisher = $this->unreachable();
        $accepted = $publisher->publish('oro/ping', 'x');

        self::assertSame(!$accepted, $publisher->flush(0.01));
    }

    public function testPublishReturnsFalseForAnInvalidMessage(): void
    {
        $publisher = $this->unreachable();

        self::assertFalse($publisher->publish('', 'a topic without a name'));
        self::assertFalse($publisher->publish('oro/ping', "\xE9 is no UTF-8"));
        self::assertFalse($publisher->publish("oro/\xE9", 'x'));
        self::assertFalse($publisher->publish('oro/ping', \NAN));
    }

    public function testAnExceptionOfThePayloadReachesTheCaller(): void
    {
        $payload = new class implements \JsonSerializable {
            public function jsonSerialize(): mixed
            {
                throw new \DomainException('the application\'s own');
            }
        };
        $publisher = $this->unreachable();
        try {
            $accepted = $publisher->publish('oro/ping', $payload);
        } catch (\DomainException $e) {
            self::assertSame('the application\'s own', $e->getMessage());

            return;
        }

        self::assertFalse($accepted, 'a publisher that does not encode the payload must not accept it');
    }
}
