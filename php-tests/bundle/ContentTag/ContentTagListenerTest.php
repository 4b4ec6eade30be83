<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\DBAL\Exception\UniqueConstraintViolationException;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Event\PostPersistEventArgs;
use Doctrine\ORM\Events;
use Orosync\Tests\Application\Entity\AuditEntry;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\Entity\Label;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;

final class ContentTagListenerTest extends ApplicationTestCase
{
    private const TOPIC = 'oro/data/update';
    private const ENTITY = 'Orosync_Tests_Application_Entity_';

    private EntityManagerInterface $manager;

    public function testAnInsertAnnouncesTheCollectionTag(): void
    {
        $this->prepare();
        $this->manager->persist(new Company('acme'));
        $this->manager->flush();

        self::assertSame([self::message('Company_type_collection')], $this->publisher()->take(self::TOPIC));
    }

    public function testAnUpdateAnnouncesTheTagOfTheEntity(): void
    {
        $contact = $this->prepare();
        $contact->name = 'anna';
        $this->manager->flush();

        self::assertSame([self::message('Contact_1')], $this->publisher()->take(self::TOPIC));
    }

    public function testADeletionAnnouncesBothTags(): void
    {
        $contact = $this->prepare();
        $this->manager->remove($contact);
        $this->manager->flush();

        self::assertSame([self::message('Contact_1', 'Contact_type_collection')], $this->publisher()->take(self::TOPIC));
    }

    public function testAChangedCollectionAnnouncesTheTagOfItsOwner(): void
    {
        $contact = $this->prepare();
        $contact->labels->clear();
        $this->manager->flush();
        self::assertSame([self::message('Contact_1')], $this->publisher()->take(self::TOPIC), 'emptied');

        $contact->labels[] = $this->manager->find(Label::class, ['language' => 'en', 'number' => 1]);
        $this->manager->flush();
        self::assertSame([self::message('Contact_1')], $this->publisher()->take(self::TOPIC), 'filled');
    }

    public function testAnUntrackedEntityIsNotAnnouncedUnlikeOthersOfItsFlush(): void
    {
        $this->prepare();
        $this->manager->persist(new AuditEntry('a company was added'));
        $this->manager->persist(new Company('acme'));
        $this->manager->flush();
        self::assertSame([self::message('Company_type_collection')], $this->publisher()->take(self::TOPIC));

        $this->manager->remove($this->manager->getRepository(AuditEntry::class)->findAll()[0]);
        $this->manager->flush();
        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testAFlushWithoutChangesAnnouncesNothing(): void
    {
        $this->prepare();
        $this->manager->flush();

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testAFlushIsOneMessageWithAListOfDistinctTags(): void
    {
        $this->prepare();
        foreach (['a', 'b'] as $name) {
            $this->manager->persist(new Contact($name));
            $this->manager->persist(new Company($name));
        }
        $this->manager->flush();

        self::assertSame([self::message('Contact_type_collection', 'Company_type_collection')], $this->publisher()->take(self::TOPIC));
    }

    public function testTheAuthorIsTheUserOfTheRequest(): void
    {
        $contact = $this->prepare();
        $this->logIn(new User('ann', 7, null));
        $contact->name = 'anna';
        $this->manager->flush();

        self::assertSame(['[{"username":"ann","tagname":"' . self::ENTITY . 'Contact_1"}]'], $this->publisher()->take(self::TOPIC));
    }

    public function testACustomUserClaimsServiceMayQueryTheDatabase(): void
    {
        $contact = $this->prepare(with: ['doctrine', 'own claims']);
        $contact->name = 'anna';
        $this->manager->flush();

        self::assertStringContainsString('"username":"user of ', $this->publisher()->take(self::TOPIC)[0]);
    }

    public function testASkippedClassIsNotAnnounced(): void
    {
        $contact = $this->prepare(['skip' => [Contact::class]]);
        $contact->name = 'anna';
        $contact->labels->clear();
        $this->manager->persist(new Company('acme'));
        $this->manager->flush();

        self::assertSame([self::message('Company_type_collection')], $this->publisher()->take(self::TOPIC));
    }

    public function testAProxyOfASkippedClassIsNotAnnounced(): void
    {
        $this->prepare(['skip' => ['\\' . Contact::class]]);
        $this->manager->clear();
        $this->manager->remove($this->manager->getReference(Contact::class, 1));
        $this->manager->flush();

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testContentTagsCanBeSwitchedOff(): void
    {
        $contact = $this->prepare(['enabled' => false]);
        $contact->name = 'anna';
        $this->manager->flush();

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testAFailedFlushIsNotAnnounced(): void
    {
        $this->prepare();
        $this->manager->getConnection()->insert('Label', ['language' => 'fr', 'number' => 1, 'text' => 'of somebody else']);
        $this->manager->persist(new Label('fr', 1, 'of ours'));
        try {
            $this->manager->flush();
            self::fail('Two labels with the same id were saved.');
        } catch (UniqueConstraintViolationException) {
        }

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testANestedFlushKeepsItsTagsSeparate(): void
    {
        $this->prepare();
        $listener = new class () {
            public function postPersist(PostPersistEventArgs $event): void
            {
                if ($event->getObject() instanceof Company) {
                    $event->getObjectManager()->getEventManager()->removeEventListener(Events::postPersist, $this);
                    $event->getObjectManager()->persist(new Contact('within'));
                    $event->getObjectManager()->flush();
                }
            }
        };
        $this->manager->getEventManager()->addEventListener(Events::postPersist, $listener);
        $this->manager->persist(new Company('around'));
        $this->manager->flush();

        $tags = array_merge(...array_map(
            static fn (string $json): array => array_column(json_decode($json, true), 'tagname'),
            $this->publisher()->take(self::TOPIC),
        ));
        self::assertContains(self::ENTITY . 'Company_type_collection', $tags);
        self::assertContains(self::ENTITY . 'Contact_type_collection', $tags);
    }

    public function testManyTagsAreSplitIntoMessagesWithinTheLimit(): void
    {
        $this->prepare();
        for ($i = 0; $i < 2500; ++$i) {
            $this->manager->persist(new Label('xx', $i, 'many'));
        }
        $this->manager->flush();
        $this->publisher()->take(self::TOPIC);
        foreach ($this->manager->getRepository(Label::class)->findBy(['language' => 'xx']) as $label) {
            $label->text = 'changed';
        }
        $this->manager->flush();

        $messages = array_map(static fn (string $json): array => json_decode($json, true), $this->publisher()->take(self::TOPIC));
        self::assertSame([1000, 1000, 500], array_map(count(...), $messages));
    }

    public function testWithoutTheMiddlewareAFlushWithinATransactionIsAnnouncedAtOnce(): void
    {
        $this->prepare(with: ['doctrine', 'no middleware']);
        $this->manager->getConnection()->beginTransaction();
        $this->manager->persist(new Company('acme'));
        $this->manager->flush();

        self::assertSame([self::message('Company_type_collection')], $this->publisher()->take(self::TOPIC));
    }

    public function testAFailingTagGeneratorDoesNotPreventSaving(): void
    {
        $this->prepare(with: ['doctrine', 'own tags']);
        $this->manager->persist($company = new Company('no tags, please'));
        $this->manager->flush();

        self::assertNotNull($company->id);
        self::assertSame(['error: A flush was announced without 1 of its entities: no tags for this company'], $this->logger()->lines('was announced without'));
    }

    public function testAFailingTagGeneratorAffectsOnlyItsEntitiesAndLogsOneLine(): void
    {
        $contact = $this->prepare(with: ['doctrine', 'own tags']);
        $this->manager->persist(new Company('no tags, please'));
        $this->manager->persist(new Company('no tags, please'));
        $contact->name = 'anna';
        $this->manager->flush();

        self::assertSame([self::message('Contact_1')], $this->publisher()->take(self::TOPIC));
        self::assertSame(['error: A flush was announced without 2 of its entities: no tags for this company'], $this->logger()->lines('was announced without'));
    }

    /**
     * Stores a contact with a company and a label, and discards their messages.
     *
     * @param array<string, mixed> $tags
     * @param list<string>         $with
     */
    private function prepare(array $tags = [], array $with = ['security', 'doctrine']): Contact
    {
        $this->boot(['content_tags' => $tags], [], $with);
        $this->manager = $this->manager();
        $contact = new Contact('ann');
        $contact->company = new Company('acme');
        $contact->labels[] = new Label('en', 1, 'friend');
        $this->manager->persist($contact);
        $this->manager->flush();
        $this->publisher()->take(self::TOPIC);

        return $contact;
    }

    private static function message(string ...$tags): string
    {
        return json_encode(array_map(static fn (string $tag): array => ['username' => null, 'tagname' => self::ENTITY . $tag], $tags), \JSON_THROW_ON_ERROR);
    }
}
