<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\UserBundle\Entity\User;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\Entity\Label;

final class ContentTagTest extends OroTestCase
{
    private const TOPIC = 'oro/data/update';
    private const COMPANIES = 'Orosync_Tests_Application_Entity_Company_type_collection';
    private const LABELS = 'Orosync_Tests_Application_Entity_Label_type_collection';

    public function testAFlushIsOneMessageByOrosSenderWithTheAuthorAsOroGivesIt(): void
    {
        $this->boot();
        $this->manager();
        $this->logIn(new User('ann', 7));
        $this->save(new Company('a'), new Company('b'), new Label('en', 1, 'urgent'));

        self::assertSame([self::message('ann', self::COMPANIES, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testOutsideOfALoginTheAuthorIsNull(): void
    {
        $this->boot();
        $this->manager();
        $this->save(new Company('a'));

        self::assertSame([self::message(null, self::COMPANIES)], $this->publisher()->take(self::TOPIC));
    }

    public function testWhatATransactionSavesIsSentWhenItCommits(): void
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

    public function testWhatIsRolledBackIsNeverSent(): void
    {
        $this->boot();
        $manager = $this->manager();
        $connection = $manager->getConnection();
        if (method_exists($connection, 'setNestTransactionsWithSavepoints')) {
            $connection->setNestTransactionsWithSavepoints(true);
        }
        $connection->beginTransaction();
        $this->save(new Company('a'));
        $connection->rollBack();
        $manager->clear();
        $connection->beginTransaction();
        $connection->beginTransaction();
        $this->save(new Company('b'));
        $connection->rollBack();
        $manager->clear();
        $this->save(new Label('en', 1, 'urgent'));
        $connection->commit();

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    public function testTagsThatDoNotComeFromAFlushDoNotWait(): void
    {
        $container = $this->boot();
        $this->manager()->getConnection()->beginTransaction();

        self::assertTrue($container->get('oro_sync.content.data_update_topic_sender')->send([3 => 'system_configuration_a_b', 5 => 'x']));
        self::assertSame([self::message(null, 'system_configuration_a_b', 'x')], $this->publisher()->take(self::TOPIC));
        self::assertFalse($container->get('oro_sync.content.data_update_topic_sender')->send([]));
    }

    public function testAFlushOfVeryManyTagsIsSeveralMessages(): void
    {
        $container = $this->boot();
        $tags = array_map(static fn (int $i): string => 'tag_' . $i, range(1, 1001));
        $container->get('oro_sync.content.data_update_topic_sender')->send($tags);

        self::assertSame([1000, 1], array_map(static fn (string $json): int => \count(json_decode($json)), $this->publisher()->take(self::TOPIC)));
    }

    public function testClassesThatOroOrTheConfigurationSkipsAreNotSent(): void
    {
        $this->boot(['content_tags' => ['skip' => [Company::class]]]);
        $this->manager();
        $this->save(new Company('a'), new Contact('b'), new Label('en', 1, 'urgent'));

        self::assertSame([self::message(null, self::LABELS)], $this->publisher()->take(self::TOPIC));
    }

    private function save(object ...$entities): void
    {
        $manager = $this->container()->get('doctrine.orm.default_entity_manager');
        foreach ($entities as $entity) {
            $manager->persist($entity);
        }
        $manager->flush();
    }

    private static function message(?string $username, string ...$tags): string
    {
        return json_encode(array_map(static fn (string $tag): array => ['username' => $username, 'tagname' => $tag], $tags), \JSON_THROW_ON_ERROR);
    }
}
