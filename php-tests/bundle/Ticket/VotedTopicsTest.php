<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Doctrine\DBAL\Types\ConversionException;
use Doctrine\Persistence\ManagerRegistry;
use Doctrine\Persistence\Mapping\ClassMetadata;
use Doctrine\Persistence\ObjectManager;
use Orosync\Entry\Guard;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Ticket\Decisions;
use Orosync\Ticket\Grant;
use Orosync\Ticket\VotedTopics;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Security\Core\Authorization\AccessDecisionManagerInterface;

/** Which texts are tried as ids, and what is logged of those that are none: whoever asks chooses them. */
final class VotedTopicsTest extends TestCase
{
    /**
     * @param list<string> $ids  asked for
     * @param list<string> $found looked for, which are there and allowed
     *
     * @dataProvider identifiers
     */
    #[DataProvider('identifiers')]
    public function testADatabaseIsAskedForWhatMayBeAnIdOfItsType(string $type, array $ids, array $found): void
    {
        self::assertSame($found, $this->granted($logger = new RecordingLogger(), $type, ['id'], $ids));
        self::assertSame([], $logger->lines());
    }

    public static function identifiers(): iterable
    {
        $uuid = '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a';
        yield ['integer', ['7', '0', '07', '+7', '7a', '12345678901'], ['7', '0']];
        yield ['smallint', ['7', '123456'], ['7']];
        yield ['bigint', ['1234567890123456789', '12345678901234567890'], ['1234567890123456789']];
        yield ['guid', [$uuid, strtoupper($uuid), "$uuid-1", '7'], [$uuid, strtoupper($uuid)]];
        yield ['string', ['7', 'a b', $uuid], ['7', 'a b', $uuid]];
        yield 'a type that refuses some texts' => ['uuid', [$uuid, 'not one'], [$uuid]];
    }

    public function testWhatCannotBeFoundIsToldWithTheNameEscapedAndCut(): void
    {
        self::assertSame([], $this->granted($logger = new RecordingLogger(), 'integer', ['id', 'tenant'], ["7\n" . str_repeat('x', 300)]));
        self::assertSame(
            ['error: The voters are not asked for VIEW on the topic "acme/company/7\n' . str_repeat('x', 85) . '"...: "' . Company::class
                . '" has an id of 2 fields, a topic names one.'],
            $logger->lines(),
        );
    }

    /**
     * @param list<string> $identifier the fields of the id
     * @param list<string> $ids
     *
     * @return list<string> those of the topics that are granted
     */
    private function granted(RecordingLogger $logger, string $type, array $identifier, array $ids): array
    {
        $metadata = $this->createStub(ClassMetadata::class);
        $metadata->method('getIdentifierFieldNames')->willReturn($identifier);
        $metadata->method('getTypeOfField')->willReturn($type);
        $metadata->method('getName')->willReturn(Company::class);
        $manager = $this->createStub(ObjectManager::class);
        $manager->method('getClassMetadata')->willReturn($metadata);
        $manager->method('find')->willReturnCallback(static fn (string $class, string $id): Company => 'not one' === $id
            ? throw new ConversionException('no UUID')
            : new Company($id));
        $doctrine = $this->createStub(ManagerRegistry::class);
        $doctrine->method('getManagerForClass')->willReturn($manager);
        $decisions = $this->createStub(AccessDecisionManagerInterface::class);
        $decisions->method('decide')->willReturn(true);
        $topics = new VotedTopics(
            [['pattern' => 'acme/company/{company}', 'voter' => 'VIEW', 'class' => Company::class]],
            new Decisions(null, $decisions),
            $doctrine,
            new Guard($logger),
        );
        $asked = array_map(static fn (string $id): string => "acme/company/$id", $ids);

        return array_map(static fn (Grant $grant): string => substr($grant->text, \strlen('acme/company/')), $topics->of($asked));
    }
}
