<?php

declare(strict_types=1);

namespace Orosync\Tests\Messenger;

use Orosync\Messenger\NotPublishedException;
use Orosync\Messenger\Publish;
use Orosync\Messenger\PublishHandler;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\RecordingPublisher;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

final class PublishHandlerTest extends TestCase
{
    public function testTheHandlerPublishesTheMessageUnchanged(): void
    {
        $publisher = new InMemoryPublisher();
        (new PublishHandler($publisher))(new Publish('acme/orders/7', ['shipped' => 1], ['a'], ['b']));
        [$message] = $publisher->messages();

        self::assertSame(['acme/orders/7', ['shipped' => 1]], [$message->topic, $message->payload]);
        self::assertSame([['a'], ['b']], [$message->exclude, $message->eligible]);
    }

    public function testWhileTheServerIsUnreachableTheHandlerPublishesNothing(): void
    {
        $publisher = new RecordingPublisher(acknowledges: false);
        try {
            (new PublishHandler($publisher))(new Publish('acme/orders/7', 1));
            self::fail('The handler should throw.');
        } catch (NotPublishedException $e) {
            self::assertSame(
                'A message to "acme/orders/7" is not published yet: the server does not answer '
                . '(link "backing-off" to memory:, last error: connection refused).',
                $e->getMessage(),
            );
        }

        self::assertSame([], $publisher->take('acme/orders/7'), 'otherwise the retry would deliver it twice');
    }

    public function testATemporarilyRefusedMessageIsRetried(): void
    {
        $this->expectException(NotPublishedException::class);
        $this->expectExceptionMessage('it was not accepted');

        (new PublishHandler(new RecordingPublisher(accepts: false)))(new Publish('acme/orders/7', 1));
    }

    public function testAnInvalidMessageIsNotRetried(): void
    {
        $this->expectException(UnrecoverableMessageHandlingException::class);
        $this->expectExceptionMessage('A message to "acme/orders/7" can never be sent: the payload cannot be encoded as JSON: Inf and NaN cannot be JSON encoded.');

        (new PublishHandler(new InMemoryPublisher()))(new Publish('acme/orders/7', \NAN));
    }
}
