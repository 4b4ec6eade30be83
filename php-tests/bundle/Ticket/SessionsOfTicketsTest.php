<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Customer;
use Orosync\Tests\Application\CustomerProvider;
use Orosync\Tests\Application\User;
use Orosync\Tests\Application\UserProvider;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\FreshApplication\WampClient;
use Orosync\Tests\Wait;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Topic\TopicPattern;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Process\Process;

/**
 * Sessions of the real server that are opened with the application's tickets.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class SessionsOfTicketsTest extends ApplicationTestCase
{
    private int $port;
    private ContainerInterface $application;
    private ?Process $server = null;

    protected function setUp(): void
    {
        $binary = Project::serverBinary();
        [$this->port] = Project::freePorts(1);
        $this->application = $this->boot(
            ['backend' => '//127.0.0.1:' . $this->port, 'users' => [User::class => 'user', Customer::class => 'customer']],
            [],
            ['security', 'publisher', 'tickets'],
            ['back' => ['id' => UserProvider::class], 'shop' => ['id' => CustomerProvider::class]],
        );
        $this->server = new Process([$binary, 'serve', '--bind', '127.0.0.1:' . $this->port], null, [
            'OROSYNC_ADMIN_BIND' => '',
            'OROSYNC_TOPICS' => '[{pattern = "acme/{kind}/{name}", subscribe = "granted"}]',
        ] + $this->application->get('orosync.shared_secret')->forServer());
        $this->server->start();
        Wait::until(
            fn (): bool => str_contains($this->server->getErrorOutput(), 'is ready'),
            fn (): string => $this->server->getErrorOutput(),
        );
    }

    protected function tearDown(): void
    {
        $this->server?->stop();
        parent::tearDown();
    }

    public function testACustomerReceivesNothingForTheUserWithTheSameId(): void
    {
        $tickets = $this->application->get('orosync.browser_tickets');
        $boss = $this->browserWith($tickets->forUser(new User('boss', 7, null)));
        $eve = $this->browserWith($tickets->forUser(new Customer('eve@shop', 7)));
        foreach ([$boss, $eve] as $browser) {
            $browser->subscribe('oro/email_event/7/*');
            $browser->subscribe('oro/data/update');
            $browser->subscribe('oro/ping');
        }
        $this->publish('oro/email_event/7/*', 'oro/data/update', 'oro/ping');

        self::assertSame(['oro/email_event/7/*', 'oro/data/update', 'oro/ping'], [$boss->next()[0], $boss->next()[0], $boss->next()[0]]);
        self::assertSame('oro/ping', $eve->next()[0]);
    }

    public function testATopicThatContainsBracesIsGrantedLiterally(): void
    {
        $room = '{x}';
        $ticket = $this->application->get(TicketIssuerInterface::class)->issue([
            'role' => 'customer',
            'topics' => ["acme/chat/$room"],
            'patterns' => ['acme/' . TopicPattern::escape($room) . '/{id:int}'],
        ], 60);
        $eve = $this->browserWith($ticket);
        $topics = ['acme/chat/general', 'acme/general/7', 'acme/{x}/general', 'acme/chat/{x}', 'acme/{x}/7'];
        foreach ($topics as $topic) {
            $eve->subscribe($topic);
        }
        $this->publish(...$topics);

        self::assertSame(['acme/chat/{x}', 'acme/{x}/7'], [$eve->next()[0], $eve->next()[0]]);
    }

    private function browserWith(string $ticket): WampClient
    {
        return new WampClient('ws://127.0.0.1:' . $this->port . '/ws?ticket=' . $ticket);
    }

    private function publish(string ...$topics): void
    {
        foreach ($topics as $topic) {
            self::assertTrue($this->application->get(PublisherInterface::class)->publish($topic, 1));
        }
    }
}
