<?php

declare(strict_types=1);

namespace App;

use App\Entity\Contact;
use Doctrine\ORM\EntityManagerInterface;
use Oro\Bundle\CustomerBundle\Entity\CustomerUser;
use Oro\Bundle\OrganizationBundle\Entity\Organization;
use Oro\Bundle\SecurityBundle\Authentication\Token\UsernamePasswordOrganizationToken;
use Oro\Bundle\SyncBundle\Controller\TicketController;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Http\Event\LogoutEvent;

/** The steps that the checks run in the application. */
final class Steps
{
    public function __construct(private readonly ContainerInterface $container, private readonly Calls $calls)
    {
    }

    public function boot(): void
    {
        foreach (['oro_sync.websocket_client', 'oro_sync.client.connection_checker', 'oro_sync.content.data_update_topic_sender'] as $id) {
            $this->calls->note($id, fn () => $this->container->get($id));
        }
    }

    /** Tickets from Oro's own controller. */
    public function tickets(): void
    {
        foreach (['admin', 'bob', null] as $name) {
            $this->login($name);
            $this->calls->note($name ?? 'nobody', $this->ticket(...));
        }
    }

    /** A flush within a transaction, as in Oro's FormHandler. */
    public function form(): void
    {
        $manager = $this->container->get('doctrine')->getManager();
        $this->calls->note('connection', static fn () => $manager->getConnection());
        $this->calls->note('save', static function () use ($manager): void {
            $manager->getConnection()->beginTransaction();
            $manager->persist(new Contact());
            $manager->flush();
            $manager->getConnection()->commit();
        });
    }

    public function formAfterAnotherConnection(): void
    {
        $this->container->get('doctrine')->getManager();
        $this->container->get('doctrine.dbal.config_connection');
        $this->form();
    }

    /** Flushes inside and outside transactions, with marker messages between them. */
    public function transactions(): void
    {
        $doctrine = $this->container->get('doctrine');
        $mark = fn (string $text) => $this->mark($text);
        $persist = static function () use ($doctrine): void {
            $doctrine->getManager()->persist(new Contact());
            $doctrine->getManager()->flush();
        };
        $mark('flush');
        $this->calls->note('flush', $persist);
        $mark('flushed');
        foreach (['commit', 'rollBack'] as $end) {
            $manager = $doctrine->getManager();
            if ($manager instanceof EntityManagerInterface && !$manager->isOpen()) {
                $doctrine->resetManager();
            }
            $connection = $doctrine->getConnection();
            $connection->beginTransaction();
            $this->calls->note("flush before $end", $persist);
            $mark("before $end");
            $this->calls->note($end, static fn () => $connection->$end());
            $mark("after $end");
        }
        $mark('end');
    }

    public function testEnvironment(): void
    {
        foreach (['default', 'config', 'session'] as $name) {
            $this->calls->note($name, fn () => $this->container->get("doctrine.dbal.{$name}_connection"));
        }
    }

    public function customerTicket(): void
    {
        $this->container->get('oro_security.token_accessor')->setToken($this->customer());
        $this->calls->note('ticket', $this->ticket(...));
    }

    public function customerLogout(): void
    {
        $event = new LogoutEvent(Request::create('/'), $this->customer());
        $this->calls->note('logout', fn () => $this->container->get('event_dispatcher')->dispatch($event));
        $this->mark('end');
    }

    /** Runs Oro's own publishers of the nine topics. */
    public function publish(): void
    {
        $publishers = new Publishers($this->container);
        $note = $this->calls->note(...);
        $note('connection', fn () => $this->container->get('oro_sync.client.connection_checker')->checkConnection());
        $this->login('admin');
        $note('tags', fn () => $publishers->tags(['Oro_Bundle_UserBundle_Entity_User_7', 'a/b', 'ü']));
        $note('tags with a gap', fn () => $publishers->tags([0 => 'a', 2 => 'b']));
        $note('no tags', fn () => $publishers->tags([]));
        $this->login(null);
        $note('tags of nobody', fn () => $publishers->tags(['c']));
        $note('mail', $publishers->mail(...));
        $note('mailbox of the system', fn () => $publishers->mailbox(null));
        $note('mailbox of a user', fn () => $publishers->mailbox(UserProvider::user('admin')));
        $this->login('admin');
        $note('attributes', $publishers->attributes(...));
        $note('heartbeat', $publishers->heartbeat(...));
        $note('role', fn () => $this->mark('ROLE_MANAGER'));
        $note('reminder', fn () => $publishers->reminder(UserProvider::user('admin')));
        $this->login('bob');
        $note('maintenance', $publishers->maintenance(...));
        $this->mark('end');
    }

    private function mark(string $text): mixed
    {
        return $this->container->get('oro_sync.websocket_client')->publish('oro/outdated_user_page', ['role' => $text]);
    }

    private function ticket(): string
    {
        $answer = $this->container->get(TicketController::class)->syncTicketAction()->getContent();

        return json_decode((string) $answer, true, 512, JSON_THROW_ON_ERROR)['ticket'];
    }

    private function login(?string $name): void
    {
        $token = null;
        if (null !== $name) {
            $organization = new Organization();
            $organization->setId(3);
            $arguments = [UserProvider::user($name), 'main', $organization, []];
            if (5 === (new \ReflectionMethod(UsernamePasswordOrganizationToken::class, '__construct'))->getNumberOfParameters()) {
                // Up to 5.1 the second argument is the credentials.
                array_splice($arguments, 1, 0, [null]);
            }
            $token = new UsernamePasswordOrganizationToken(...$arguments);
        }
        $this->container->get('oro_security.token_accessor')->setToken($token);
    }

    /** A storefront customer with the name of a back office user. */
    private function customer(): TokenInterface
    {
        return new UsernamePasswordToken(new CustomerUser('admin', 77), 'frontend', []);
    }
}
