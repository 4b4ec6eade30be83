<?php

declare(strict_types=1);

namespace Orosync\Tests\Notifier;

use Orosync\Entry\Guard;
use Orosync\Notifier\LiveChannel;
use Orosync\Notifier\UserRecipient;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Application\Account;
use Orosync\Tests\FreshApplication\Kernel;
use Orosync\Tests\FreshApplication\Project;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\Notifier\Notification\Notification;
use Symfony\Component\Notifier\Recipient\NoRecipient;

final class LiveChannelTest extends TestCase
{
    private ?Kernel $kernel = null;

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
    }

    public function testANotificationIsPublishedToItsRecipient(): void
    {
        $publisher = $this->boot('orosync: {test: true}');
        $notification = (new Notification('Order A-1 was shipped', ['orosync']))->content('It arrives on Monday.')
            ->importance(Notification::IMPORTANCE_LOW)->emoji('🚚');
        $this->kernel->getContainer()->get('seen.notifier')->send($notification, new UserRecipient(7));
        [$message] = $publisher->messages();

        self::assertSame('orosync/notifications/7', $message->topic);
        self::assertSame([
            'subject' => 'Order A-1 was shipped',
            'content' => 'It arrives on Monday.',
            'importance' => 'low',
            'emoji' => '🚚',
        ], $message->payload);
    }

    public function testTheTopicOfNotificationsIsConfigurable(): void
    {
        $publisher = $this->boot("orosync: {test: true, notifier: {topic: 'acme/{uid}/notices'}}");
        $this->kernel->getContainer()->get('seen.notifier')->send(new Notification('Hello', ['orosync']), new UserRecipient(7));
        $this->kernel->getContainer()->get('seen.notifier')->send(new Notification('Hello', ['orosync']), new UserRecipient(Account::uuid('0188fd5c-1e4f')));

        self::assertSame(['acme/7/notices', 'acme/0188fd5c-1e4f/notices'], array_column($publisher->messages(), 'topic'));
    }

    public function testANotificationDoesNotContainTheException(): void
    {
        $publisher = new InMemoryPublisher();
        (new LiveChannel(static fn (): InMemoryPublisher => $publisher, '{uid}', new Guard(new NullLogger())))->notify(
            Notification::fromThrowable(new \RuntimeException('password 1234')),
            new UserRecipient(7),
        );

        self::assertArrayNotHasKey('exception', $publisher->messages()[0]->payload);
        self::assertStringNotContainsString('LiveChannelTest.php', $publisher->messages()[0]->json);
    }

    public function testARecipientWithoutAUserIsNotSupported(): void
    {
        $channel = new LiveChannel(static fn (): InMemoryPublisher => new InMemoryPublisher(), '{uid}', new Guard(new NullLogger()));
        self::assertFalse($channel->supports(new Notification('Hello'), new NoRecipient()));
        self::assertTrue($channel->supports(new Notification('Hello'), new UserRecipient(7)));

        $this->expectException(\LogicException::class);
        $this->expectExceptionMessage('The channel "orosync" needs a user as the recipient, not Symfony\Component\Notifier\Recipient\NoRecipient.');
        $channel->notify(new Notification('Hello'), new NoRecipient());
    }

    public function testANotificationTopicWithoutUidIsRefused(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage(
            'orosync.notifier.topic: "acme/notices" has no {uid}, so everybody would read it. Write for example "orosync/notifications/{uid}".',
        );

        $this->boot('orosync: {notifier: {topic: acme/notices}}');
    }

    private function boot(string $orosync): InMemoryPublisher
    {
        $this->kernel = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', $orosync)
            ->write('config/packages/notifier.yaml', <<<'YAML'
                framework:
                    notifier: {enabled: true}
                services:
                    seen.notifier: {alias: notifier, public: true}
                YAML)
            ->boot('test');

        return $this->kernel->getContainer()->get(InMemoryPublisher::class);
    }
}
