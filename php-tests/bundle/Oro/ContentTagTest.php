<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Doctrine\DBAL\Connection;
use Oro\Bundle\UserBundle\Entity\User;
use Oro\Component\Testing\Doctrine\PersistentConnection;
use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\Entity\Label;
use Orosync\Tests\Application\OwnConnection;
use Orosync\Tests\Oro\Acme\OwnClassesPass;

/** With the installed Doctrine, which represents that of Oro 7.0. */
class ContentTagTest extends OroTestCase
{
    private const TOPIC = 'oro/data/update';
    private const COMPANIES = 'Orosync_Tests_Application_Entity_Company_type_collection';
    private const LABELS = 'Orosync_Tests_Application_Entity_Label_type_collection';

    public function testAFlushIsOneMessageOfOrosSenderWithItsAuthor(): void
    {
        $this->boot();
        $this->manager();
        $this->logIn(new User('ann', 7));
        $this->save(new Company('a'), new Company('b'), new Label('en', 1, 'urgent'));

        self::assertSame([self::message('ann', self::COMPANIES, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testWithoutALoginTheAuthorIsNull(): void
    {
        $this->boot();
        $this->manager();
        $this->save(new Company('a'));

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsOfATransactionAreSentAfterItsCommit(): void
    {
        $this->boot();
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        $this->save(new Label('en', 1, 'urgent'));
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $manager->getConnection()->commit();

        self::assertSame([self::message(null, self::COMPANIES, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsOfARolledBackTransactionAreNotSent(): void
    {
        $this->boot();
        $manager = $this->manager();
        $connection = $manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->rollBack();
        $manager->clear();
        $connection->beginTransaction();
        $connection->beginTransaction();
        $this->save(new Company('b'));
        $connection->commit();
        $connection->rollBack();
        $manager->clear();
        $this->save(new Label('en', 1, 'urgent'));

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsAreSentDespiteARollbackToASavepointWhichOroDoesNotReport(): void
    {
        $this->boot();
        $manager = $this->manager();
        $connection = $manager->getConnection();
        if (method_exists($connection, 'setNestTransactionsWithSavepoints')) {
            $connection->setNestTransactionsWithSavepoints(true);
        }
        $connection->beginTransaction();
        $connection->beginTransaction();
        $this->save(new Company('b'));
        $connection->rollBack();
        $manager->clear();
        $this->save(new Label('en', 1, 'urgent'));
        $connection->commit();

        self::assertSame([self::message(null, self::COMPANIES, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsWaitForTheirTransactionEvenIfAnotherConnectionWasUsedBefore(): void
    {
        $container = $this->boot();
        $manager = $this->manager();
        $container->get('doctrine.dbal.config_connection')->executeStatement('SELECT 1');
        $manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $manager->getConnection()->commit();

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsOfAnUnwatchedConnectionAreSentWithTheFlush(): void
    {
        $this->boot();
        $default = $this->manager()->getConnection();
        $this->manager('config')->getConnection()->beginTransaction();
        $default->beginTransaction();
        $this->save(new Label('en', 1, 'urgent'));
        $this->saveBy('config', new Company('a'));
        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
        $default->commit();

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsOfARefusedCommitAreNotSent(): void
    {
        $this->boot();
        $connection = $this->manager()->getConnection();
        $connection->executeStatement('PRAGMA foreign_keys = ON');
        $connection->executeStatement('CREATE TABLE reference (number INTEGER REFERENCES Company (id) DEFERRABLE INITIALLY DEFERRED)');
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->executeStatement('INSERT INTO reference VALUES (77)');
        self::assertNotNull(self::thrownBy($connection->commit(...)));
        self::rollBackWhatIsLeft($connection);
        $this->container()->get('doctrine.orm.default_entity_manager')->clear();
        $this->save(new Label('en', 1, 'urgent'));

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testWithoutAutoCommitTagsAreSentWithTheFlush(): void
    {
        $this->boot();
        $this->manager()->getConnection()->setAutoCommit(false);
        $this->save(new Company('a'));

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testCommittedTagsAreSentEvenIfAnotherWatcherFails(): void
    {
        $container = $this->boot();
        $connection = $this->manager()->getConnection();
        $container->get('oro_message_queue.client.dbal_transaction_watcher')->failure = new \RuntimeException('the broker is unreachable');
        $connection->beginTransaction();
        $contact = new Company('a');
        try {
            $this->save($contact);
            $connection->commit();
        } catch (\RuntimeException) {
        }

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testAFailingAnnouncementDoesNotAffectTheCommit(): void
    {
        $container = $this->boot(with: ['acme decorator']);
        $connection = $this->manager()->getConnection();
        $container->get('acme.client')->failure = new \LogicException('not today');
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->commit();

        self::assertSame('1', (string) $connection->fetchOne('SELECT COUNT(*) FROM Company'));
        self::assertSame(['error: A change was not announced: not today'], $this->logger()->lines('not announced'));
    }

    public function testTheConnectionHasTheClassThatOroGenerates(): void
    {
        foreach (['prod', 'test'] as $environment) {
            $container = $this->boot(environment: $environment);
            self::assertStringStartsWith('OroDoctrineConnection\\ConnectionProxy_', $container->get('doctrine.dbal.default_connection')::class);
        }
    }

    public function testAConnectionWithAWrapperClassOfTheApplicationIsWatched(): void
    {
        $this->boot(with: ['own connection']);
        $connection = $this->manager()->getConnection();
        self::assertInstanceOf(OwnConnection::class, $connection);
        $connection->beginTransaction();
        $this->save(new Company('a'));
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $connection->commit();

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testInTheTestEnvironmentEachConnectionIsATestConnectionAndNothingIsPublished(): void
    {
        $container = $this->boot(with: ['publisher', 'tickets'], environment: 'test');
        foreach (['default', 'config'] as $name) {
            self::assertInstanceOf(PersistentConnection::class, $container->get(sprintf('doctrine.dbal.%s_connection', $name)));
        }
        // Like a functional test: everything in one transaction, which is rolled back.
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        $manager->getConnection()->rollBack();

        self::assertInstanceOf(InMemoryPublisher::class, $container->get(PublisherInterface::class));
        self::assertSame('in-memory:', $container->get(PublisherInterface::class)->status()->endpoint);
    }

    public function testDecoratorsOfTheApplicationAreKept(): void
    {
        $container = $this->boot(with: ['acme decorators']);
        $manager = $this->manager();
        $manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $manager->getConnection()->commit();
        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
        self::assertNotSame('', $container->get('oro_sync.authentication.ticket_provider')->generateTicket());

        foreach (array_keys(OwnClassesPass::DECORATORS) as $id) {
            self::assertGreaterThan(0, $container->get('acme.' . $id)->calls, $id);
        }
    }

    public function testSubclassesOfTheApplicationAreKeptAndTheirTagsAreSentWithTheFlush(): void
    {
        $container = $this->boot(with: ['acme subclasses']);
        $this->manager()->getConnection()->beginTransaction();
        $this->save(new Company('a'));

        self::assertSame([self::message(null, self::COMPANIES, 'sent by Acme')], $this->publisher()->take(self::TOPIC));
        self::assertSame(1, $container->get('oro_sync.event_listener.doctrine_tag')->calls);
    }

    public function testTagsOutsideOfAFlushAreSentAtOnce(): void
    {
        $container = $this->boot();
        $this->manager()->getConnection()->beginTransaction();

        self::assertTrue($container->get('oro_sync.content.data_update_topic_sender')->send([3 => 'system_configuration_a_b', 5 => 'x']));
        self::assertSame([self::message(null, 'system_configuration_a_b', 'x')], $this->publisher()->take(self::TOPIC));
        self::assertFalse($container->get('oro_sync.content.data_update_topic_sender')->send([]));
    }

    public function testTheTagsOfALargeFlushAreSplitIntoSeveralMessages(): void
    {
        $container = $this->boot();
        $tags = array_map(static fn (int $i): string => 'tag_' . $i, range(1, 1001));
        $container->get('oro_sync.content.data_update_topic_sender')->send($tags);

        self::assertSame([1000, 1], array_map(static fn (string $json): int => \count(json_decode($json)), $this->publisher()->take(self::TOPIC)));
    }

    public function testSkippedClassesOfOroAndTheConfigurationAreNotSent(): void
    {
        $this->boot(['content_tags' => ['skip' => [Company::class]]]);
        $this->manager();
        $this->save(new Company('a'), new Contact('b'), new Label('en', 1, 'urgent'));

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    private function save(object ...$entities): void
    {
        $this->saveBy('default', ...$entities);
    }

    private function saveBy(string $manager, object ...$entities): void
    {
        $manager = $this->container()->get(sprintf('doctrine.orm.%s_entity_manager', $manager));
        foreach ($entities as $entity) {
            $manager->persist($entity);
        }
        $manager->flush();
    }

    private static function thrownBy(\Closure $call): ?\Throwable
    {
        try {
            $call();
        } catch (\Throwable $e) {
            return $e;
        }

        return null;
    }

    /** After a refused commit SQLite's transaction is still open; DBAL's own state depends on its version. */
    private static function rollBackWhatIsLeft(Connection $connection): void
    {
        if ($connection->isTransactionActive()) {
            $connection->rollBack();
        } else {
            $connection->executeStatement('ROLLBACK');
        }
    }

    private static function message(?string $username, string ...$tags): string
    {
        return json_encode(array_map(static fn (string $tag): array => ['username' => $username, 'tagname' => $tag], $tags), \JSON_THROW_ON_ERROR);
    }
}
