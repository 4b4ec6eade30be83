<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\OwnConnection;
use Orosync\Tests\ApplicationTestCase;

/** With the installed DBAL, 3 or 4. */
class TransactionTest extends ApplicationTestCase
{
    protected const TOPIC = 'oro/data/update';
    protected const COMPANIES = '{"username":null,"tagname":"Orosync_Tests_Application_Entity_Company_type_collection"}';
    private const CONTACTS = '{"username":null,"tagname":"Orosync_Tests_Application_Entity_Contact_type_collection"}';

    protected EntityManagerInterface $manager;

    protected function setUp(): void
    {
        $this->boot([], [], ['doctrine']);
        $this->manager = $this->manager();
    }

    public function testChangesOfATransactionAreAnnouncedOnceWhenItCommits(): void
    {
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $this->save(new Contact('b'));
        $this->save(new Company('c'));
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $connection->commit();

        self::assertSame(['[' . self::COMPANIES . ',' . self::CONTACTS . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testAnInnerCommitAnnouncesNothing(): void
    {
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->commit();
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $connection->commit();

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testRolledBackChangesAreNotAnnounced(): void
    {
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->rollBack();
        $this->save(new Contact('b'));

        self::assertSame(['[' . self::CONTACTS . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testAFailureInATransactionOfTheEntityManagerAnnouncesNothing(): void
    {
        try {
            $this->manager->wrapInTransaction(function (): never {
                $this->save(new Company('a'));
                throw new \DomainException('no');
            });
        } catch (\DomainException) {
        }

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testATransactionSurvivesTheResetOfServices(): void
    {
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $this->kernel()->getContainer()->get('services_resetter')->reset();
        $connection->commit();

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testEachConnectionWaitsForItsOwnTransaction(): void
    {
        $this->boot([], [], ['doctrine', 'archive']);
        $this->manager = $this->manager();
        $archive = $this->manager('archive');
        $this->manager->getConnection()->beginTransaction();
        $archive->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        $archive->persist(new Contact('b'));
        $archive->flush();
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $archive->getConnection()->commit();
        self::assertSame(['[' . self::CONTACTS . ']'], $this->publisher()->take(self::TOPIC));
        $this->manager->getConnection()->rollBack();

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testAFlushDoesNotWaitForATransactionOfAnotherManager(): void
    {
        $this->boot([], [], ['doctrine', 'archive']);
        $this->manager = $this->manager();
        $this->manager('archive')->getConnection()->beginTransaction();
        $this->save(new Company('a'));

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testAConnectionKeepsTheWrapperClassOfTheApplication(): void
    {
        $this->boot([], [], ['doctrine', 'own connection', 'archive']);
        $this->manager = $this->manager();
        $this->manager('archive')->getConnection()->executeStatement('SELECT 1');
        self::assertSame(OwnConnection::class, $this->manager->getConnection()::class);
        $this->manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));
        $this->tagsOfAnOwnConnectionLeave();
    }

    /** A connection with the bundle's middleware. */
    protected function tagsOfAnOwnConnectionLeave(): void
    {
        self::assertSame([], $this->publisher()->take(self::TOPIC));
        $this->manager->getConnection()->commit();

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testAFailingAnnouncementDoesNotAffectTheCommit(): void
    {
        $this->publisher()->failure = new \LogicException('not today');
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->commit();

        self::assertSame('1', (string) $connection->fetchOne('SELECT COUNT(*) FROM Company'));
        self::assertSame(['error: A change was not announced: not today'], $this->logger()->lines('not announced'));
    }

    private function save(object $entity): void
    {
        $this->manager->persist($entity);
        $this->manager->flush();
    }
}
