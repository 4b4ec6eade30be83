<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\ApplicationTestCase;

final class TransactionTest extends ApplicationTestCase
{
    private const TOPIC = 'oro/data/update';
    private const COMPANIES = '{"username":null,"tagname":"Orosync_Tests_Application_Entity_Company_type_collection"}';
    private const CONTACTS = '{"username":null,"tagname":"Orosync_Tests_Application_Entity_Contact_type_collection"}';

    private EntityManagerInterface $manager;

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

    public function testAnInnerCommitIsNoneYet(): void
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

    public function testWhatIsRolledBackIsNeverAnnounced(): void
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

    public function testATransactionOutlivesTheResetOfAWorkersServices(): void
    {
        $connection = $this->manager->getConnection();
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $this->kernel()->getContainer()->get('services_resetter')->reset();
        $connection->commit();

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    public function testWithoutTheMiddlewareAFlushIsAnnouncedAtOnce(): void
    {
        $this->boot([], [], ['doctrine', 'no middleware']);
        $this->manager = $this->manager();
        $this->manager->getConnection()->beginTransaction();
        $this->save(new Company('a'));

        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }

    private function save(object $entity): void
    {
        $this->manager->persist($entity);
        $this->manager->flush();
    }
}
