<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Publishing\PublisherInterface;
use Orosync\Session\SessionTerminator;
use Orosync\Tests\Application\Account;
use Orosync\Tests\Application\AnybodyProvider;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\FreshApplication\WampClient;
use Orosync\Tests\Wait;
use Orosync\Topic\TopicsFile;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Process\Process;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;

/**
 * Topics for a role, an owner and a voter: declared in the application, exported, and subscribed to at the real server.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class WhoMaySubscribeTest extends ApplicationTestCase
{
    private const ANN = '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a';
    private const BOB = '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5b';

    private int $port;
    private ContainerInterface $application;
    private ?Process $server = null;

    protected function setUp(): void
    {
        $binary = Project::serverBinary();
        [$this->port] = Project::freePorts(1);
        $this->application = $this->boot(
            [
                'backend' => '//127.0.0.1:' . $this->port,
                'users' => [Account::class => 'user'],
                'topics' => [
                    'acme/sales' => 'ROLE_SALES',
                    'acme/lead' => ['ROLE_LEAD', 'ROLE_BOSS'],
                    'acme/orders/{uid}' => 'owner',
                    'acme/company/{company}' => ['voter' => 'VIEW', 'class' => Company::class],
                ],
            ],
            [],
            ['security', 'doctrine', 'voter', 'publisher', 'tickets'],
            ['all' => ['id' => AnybodyProvider::class]],
        );
        $topics = $this->kernel()->getCacheDir() . '/topics.toml';
        file_put_contents($topics, TopicsFile::toml($this->application->get('orosync.declared_topics')->rules(), [], null));
        $this->server = new Process(
            [$binary, 'serve', '--config', $topics, '--bind', '127.0.0.1:' . $this->port],
            null,
            ['OROSYNC_ADMIN_BIND' => ''] + $this->application->get('orosync.shared_secret')->forServer(),
        );
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

    public function testUsersWithARoleMaySubscribeIncludingByTheHierarchy(): void
    {
        $ann = $this->page(new Account('ann', Account::uuid(self::ANN), ['ROLE_USER']), 'acme/sales', 'acme/lead');
        $boss = $this->page(new Account('boss', 7, ['ROLE_BOSS']), 'acme/sales', 'acme/lead');
        $this->publish('acme/sales', 'acme/lead', 'oro/ping');

        self::assertSame(['acme/sales', 'oro/ping'], [$ann->next()[0], $ann->next()[0]]);
        self::assertSame(['acme/lead', 'oro/ping'], [$boss->next()[0], $boss->next()[0]]);
    }

    public function testAUserWithAUuidMaySubscribeToOwnTopicsAndCanBeDisconnected(): void
    {
        $topics = ['acme/orders/' . self::ANN, 'acme/orders/' . self::BOB];
        $ann = $this->page($user = new Account('ann', Account::uuid(self::ANN)), ...$topics);
        $bob = $this->page(new Account('bob', self::BOB), ...$topics);
        $this->publish(...$topics, ...['oro/ping']);

        self::assertSame([$topics[0], 'oro/ping'], [$ann->next()[0], $ann->next()[0]]);
        self::assertSame([$topics[1], 'oro/ping'], [$bob->next()[0], $bob->next()[0]]);

        self::assertTrue($this->application->get(SessionTerminator::class)->endSessionsOf($user));
        self::assertTrue($ann->ends());
        $this->publish('oro/ping');
        self::assertSame('oro/ping', $bob->next()[0]);
    }

    public function testAVoterGrantsTheTopicsInTheTicketRequest(): void
    {
        $manager = $this->manager();
        foreach (['ann', 'bob', 'ann'] as $name) {
            $manager->persist(new Company($name));
        }
        $manager->flush();
        $topics = ['acme/company/1', 'acme/company/2', 'acme/company/3'];
        $user = new Account('ann', 7);
        $this->application->get('security.untracked_token_storage')->setToken(new UsernamePasswordToken($user, 'main', $user->getRoles()));
        $tickets = $this->application->get('orosync.browser_tickets');
        $permitted = $this->browserWith($tickets->forCurrentUser(['acme/company/1', 'acme/company/2']), ...$topics);
        $silent = $this->browserWith($tickets->forCurrentUser(), ...$topics);
        $this->publish(...$topics, ...['oro/ping']);

        self::assertSame(['acme/company/1', 'oro/ping'], [$permitted->next()[0], $permitted->next()[0]]);
        self::assertSame('oro/ping', $silent->next()[0]);
    }

    private function page(Account $user, string ...$topics): WampClient
    {
        return $this->browserWith($this->application->get('orosync.browser_tickets')->forUser($user), ...$topics);
    }

    private function browserWith(string $ticket, string ...$topics): WampClient
    {
        $browser = new WampClient('ws://127.0.0.1:' . $this->port . '/ws?ticket=' . $ticket);
        foreach ([...$topics, 'oro/ping'] as $topic) {
            $browser->subscribe($topic);
        }

        return $browser;
    }

    private function publish(string ...$topics): void
    {
        foreach ($topics as $topic) {
            self::assertTrue($this->application->get(PublisherInterface::class)->publish($topic, 1));
        }
    }
}
