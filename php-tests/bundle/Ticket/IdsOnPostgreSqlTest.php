<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\ORMSetup;
use Doctrine\ORM\Tools\SchemaTool;
use Doctrine\Persistence\ManagerRegistry;
use Doctrine\Persistence\Mapping\ClassMetadata;
use Doctrine\Persistence\Mapping\Driver\MappingDriver;
use Orosync\Entry\Guard;
use Orosync\Tests\Application\Doctrine;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\ContentTag\DatabaseServer;
use Orosync\Ticket\Authorization;
use Orosync\Ticket\RequestedTopics;
use Orosync\Ticket\VotedTopics;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Security\Core\Authorization\AccessDecisionManagerInterface;

/** Strings that are not valid ids of a column, with PostgreSQL, which refuses most of them. */
final class IdsOnPostgreSqlTest extends TestCase
{
    private const TEXTS = ['7', '0', '-1', '99999', '9999999999', '9999999999999999999', '99999999999999999999', "7\0", "\0", 'é', 'x', '7.5', ' 7'];

    private static ?DatabaseServer $server = null;

    public static function setUpBeforeClass(): void
    {
        self::$server = DatabaseServer::postgreSql();
    }

    public static function tearDownAfterClass(): void
    {
        self::$server?->stop();
        self::$server = null;
    }

    /** @dataProvider types */
    #[DataProvider('types')]
    public function testAnInvalidIdIsDeniedWithoutALogLine(string $type): void
    {
        $manager = self::manager($type);
        $registry = $this->createStub(ManagerRegistry::class);
        $registry->method('getManagerForClass')->willReturn($manager);
        $voters = $this->createStub(AccessDecisionManagerInterface::class);
        $voters->method('decide')->willReturn(true);
        $topics = new VotedTopics(
            [['pattern' => 'acme/{id}', 'voter' => 'VIEW', 'class' => Company::class]],
            new Authorization(null, $voters),
            $registry,
            $outcomes = new RequestedTopics(),
            new Guard($logger = new RecordingLogger()),
        );

        self::assertSame([], $topics->of(array_map(static fn (string $id): string => 'acme/' . $id, self::TEXTS)));
        self::assertSame([], $logger->lines());
        self::assertSame(['denied'], array_values(array_unique(array_column($outcomes->all(), 'outcome'))));
    }

    public static function types(): iterable
    {
        foreach (['integer', 'smallint', 'bigint', 'guid', 'string', 'decimal', 'date_immutable'] as $type) {
            yield $type => [$type];
        }
    }

    private static function manager(string $type): EntityManager
    {
        $configuration = ORMSetup::createAttributeMetadataConfiguration([], true);
        if (Doctrine::hasNativeProxies()) {
            $configuration->enableNativeLazyObjects(true);
        }
        $configuration->setMetadataDriverImpl(new class ($type) implements MappingDriver {
            public function __construct(private readonly string $type)
            {
            }

            public function loadMetadataForClass(string $className, ClassMetadata $metadata): void
            {
                $metadata->setPrimaryTable(['name' => 'of_' . $this->type]);
                $metadata->mapField(['fieldName' => 'id', 'type' => $this->type, 'id' => true, 'precision' => 10, 'scale' => 2]);
            }

            public function getAllClassNames(): array
            {
                return [Company::class];
            }

            public function isTransient(string $className): bool
            {
                return false;
            }
        });
        $manager = new EntityManager(DriverManager::getConnection(self::$server->parameters, $configuration), $configuration);
        (new SchemaTool($manager))->createSchema($manager->getMetadataFactory()->getAllMetadata());

        return $manager;
    }
}
