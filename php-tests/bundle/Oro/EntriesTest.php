<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Entry\Entries;
use Orosync\Tests\Entry\EntriesTest as EntriesInSymfony;
use Orosync\Tests\Entry\FailingCommand;
use Orosync\Tests\Entry\Failure;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Component\BrowserKit\Cookie;
use Symfony\Contracts\EventDispatcher\Event;

/** Failures behind the bundle's replacements of Oro's services do not affect Oro's own action. */
final class EntriesTest extends OroTestCase
{
    use FailingCommand;

    /** Entry points that exist only in an Oro application, with the method of this class that triggers each. */
    private const ENTRIES = [
        'orosync.oro.websocket_client decorates oro_sync.websocket_client.basic' => 'publish',
        'orosync.oro.connection_checker decorates oro_sync.client.connection_checker' => 'renderAPage',
        'orosync.oro.ticket_provider decorates oro_sync.authentication.ticket_provider' => 'askForATicket',
        'orosync.oro.tag_sender decorates oro_sync.content.data_update_topic_sender' => 'save',
        'oro_sync.event_listener.doctrine_tag doctrine.event_listener onFlush' => 'save',
        'oro_sync.event_listener.doctrine_tag doctrine.event_listener postFlush' => 'save',
        'orosync.oro.root_transaction oro.doctrine.connection.transaction_watcher' => 'commit',
        'orosync.topics_export_command console.command' => 'exportTopics',
        'orosync.oro.migrate_command console.command' => 'migrate',
    ];

    /** Oro's own listeners, which publish with the bundle's services. */
    private const OTHERS = ['switchMaintenance', 'logOut'];

    public function testEveryEntryPointIsListed(): void
    {
        $entries = $this->boot()->getParameter(Entries::PARAMETER);
        $known = [...array_keys(self::ENTRIES), ...EntriesInSymfony::known()];

        self::assertSame([], array_values(array_diff($entries, $known)), 'entry points without a test');
        self::assertSame([], array_values(array_diff(array_keys(self::ENTRIES), $entries)), 'tests without an entry point');
    }

    /** @dataProvider failures */
    #[DataProvider('failures')]
    public function testAFailureDoesNotAffectOro(string $action, string $failure): void
    {
        $this->boot([], [$failure]);

        $this->$action();
    }

    /** @return iterable<string, array{string, string}> */
    public static function failures(): iterable
    {
        foreach ([...array_unique(self::ENTRIES), ...self::OTHERS] as $action) {
            foreach (Failure::ALL as $failure) {
                yield $action . ', ' . $failure => [$action, $failure];
            }
        }
    }

    private function publish(): void
    {
        foreach (['oro_sync.websocket_client', 'oro_sync.websocket_client.basic'] as $id) {
            $client = $this->container()->get($id);

            self::assertFalse($client->publish('oro/ping', 'x'));
            self::assertFalse($client->isConnected());
            self::assertNull($client->connect());
            self::assertTrue($client->disconnect());
        }
        $this->assertFailed();
    }

    private function renderAPage(): void
    {
        $page = $this->container()->get('twig')->createTemplate('Hello {{ check_ws() ? "live" : "." }} world');

        self::assertSame('Hello . world', $page->render());
        $this->assertFailed();
    }

    private function askForATicket(): void
    {
        $browser = $this->browser(new User('ann', 7));
        $browser->getCookieJar()->set(new Cookie('_csrf', 'abc'));
        $browser->request('POST', '/sync/ticket', [], [], ['HTTP_X_CSRF_HEADER' => 'abc']);

        self::assertSame(503, $browser->getResponse()->getStatusCode());
    }

    private function save(): void
    {
        $manager = $this->manager();
        $manager->persist(new Company('acme'));
        $manager->flush();

        self::assertSame(1, $manager->getRepository(Company::class)->count([]));
        $this->assertFailed();
    }

    private function commit(): void
    {
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $manager->persist(new Company('acme'));
        $manager->flush();
        $manager->getConnection()->commit();

        self::assertSame(1, $manager->getRepository(Company::class)->count([]));
        $this->assertFailed();
    }

    private function switchMaintenance(): void
    {
        $event = new Event();

        self::assertSame($event, $this->container()->get('event_dispatcher')->dispatch($event, 'maintenance.on'));
        $this->assertFailed();
    }

    private function logOut(): void
    {
        $browser = $this->browser(new User('ann', 7));
        $browser->disableReboot();
        $browser->request('GET', '/logout');

        self::assertSame(302, $browser->getResponse()->getStatusCode());
        self::assertNull($this->container()->get('security.untracked_token_storage')->getToken(), 'is logged out');
        $this->assertFailed();
    }

    private function exportTopics(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:topics:export']);
    }

    private function migrate(): void
    {
        self::assertEndsWithItsMessage($this->console(), ['command' => 'orosync:migrate']);
    }

    private function assertFailed(): void
    {
        self::assertGreaterThan(0, $this->container()->get('orosync.guard')->count(), 'a failure was counted');
    }
}
