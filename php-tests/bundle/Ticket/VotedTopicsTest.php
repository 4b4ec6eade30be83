<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Doctrine\DBAL\Driver\AbstractException;
use Doctrine\DBAL\Exception\DriverException;
use Doctrine\DBAL\Types\ConversionException;
use Doctrine\Persistence\ManagerRegistry;
use Doctrine\Persistence\Mapping\ClassMetadata;
use Doctrine\Persistence\ObjectManager;
use Orosync\Entry\Guard;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Ticket\Authorization;
use Orosync\Ticket\Grant;
use Orosync\Ticket\RequestedTopics;
use Orosync\Ticket\VotedTopics;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Security\Core\Authorization\AccessDecisionManagerInterface;

/** Ids in requested topics, which come from the client: which are looked up, and what is logged about invalid ones. */
final class VotedTopicsTest extends TestCase
{
    private const TOPICS = [['pattern' => 'acme/company/{company}', 'voter' => 'VIEW', 'class' => Company::class]];

    private RequestedTopics $outcomes;

    /**
     * @param list<string> $ids  asked for
     * @param list<string> $found looked for, which are there and allowed
     *
     * @dataProvider identifiers
     */
    #[DataProvider('identifiers')]
    public function testOnlyValidIdsAreLookedUpInTheDatabase(string $type, array $ids, array $found): void
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
        yield ['string', ['7', 'a b', $uuid, "7\0", "\x1b7", "7\n"], ['7', 'a b', $uuid]];
        yield 'a number out of its range' => ['integer', ['7', '9999999999', '8'], ['7', '8']];
        yield 'a type that refuses some texts' => ['uuid', [$uuid, 'not one'], [$uuid]];
    }

    public function testAFailingDatabaseIsLogged(): void
    {
        self::assertSame([], $this->granted($logger = new RecordingLogger(), 'string', ['id'], ['away']));
        self::assertCount(1, $logger->lines('error: The voters could not decide about VIEW on the topic "acme/company/away": '));
    }

    public function testTheFirstMatchingRuleDecidesAsInTheServer(): void
    {
        $voter = ['pattern' => 'acme/company/{company}', 'voter' => 'VIEW', 'class' => Company::class];
        $other = static fn (string $pattern): array => ['pattern' => $pattern, 'voter' => null, 'class' => null];
        $logger = new RecordingLogger();

        self::assertSame(['7'], $this->granted($logger, 'string', ['id'], ['own', '7'], [$other('acme/company/own'), $voter]));
        self::assertSame([], $this->granted($logger, 'string', ['id'], ['own', '7'], [$other('acme/{any}/{id}'), $voter]));
        self::assertSame(['own', '7'], $this->granted($logger, 'string', ['id'], ['own', '7'], [$voter, $other('acme/company/own')]));
    }

    public function testOutcomesAreKeptUntilTheNextRequest(): void
    {
        $this->granted(new RecordingLogger(), 'integer', ['id'], ['7', 'x', '7', '1/2', ...range(100, 160)]);
        $voters = 'VIEW on ' . Company::class;
        $kept = $this->outcomes->all();

        self::assertSame(
            [
                ['topic' => 'acme/company/7', 'outcome' => 'granted', 'by' => $voters],
                ['topic' => 'acme/company/x', 'outcome' => 'denied', 'by' => $voters],
                ['topic' => 'acme/company/1/2', 'outcome' => 'left to the server', 'by' => ''],
            ],
            \array_slice($kept, 0, 3),
        );
        self::assertSame(['topic' => 'acme/company/160', 'outcome' => 'not decided', 'by' => $voters], end($kept));
        $this->outcomes->reset();
        self::assertSame([], $this->outcomes->all());
    }

    public function testTheNumberOfOutcomesIsBounded(): void
    {
        $this->granted(new RecordingLogger(), 'integer', ['id'], range(1, 200));

        self::assertCount(100, $this->outcomes->all());
    }

    public function testAnUnusableClassIsLoggedWithTheNameEscapedAndTruncated(): void
    {
        self::assertSame([], $this->granted($logger = new RecordingLogger(), 'integer', ['id', 'tenant'], ["7\n" . str_repeat('x', 300)]));
        self::assertSame(
            ['error: The voters could not decide about VIEW on the topic "acme/company/7\n' . str_repeat('x', 85) . '"...: "' . Company::class
                . '" has an id of 2 fields, a topic names one.'],
            $logger->lines(),
        );
    }

    /**
     * @param list<string> $identifier the fields of the id
     * @param list<string> $ids
     * @param list<array{pattern: string, voter: string|null, class: class-string|null}> $topics
     *
     * @return list<string> those of the topics that are granted
     */
    private function granted(RecordingLogger $logger, string $type, array $identifier, array $ids, array $topics = self::TOPICS): array
    {
        $metadata = $this->createStub(ClassMetadata::class);
        $metadata->method('getIdentifierFieldNames')->willReturn($identifier);
        $metadata->method('getTypeOfField')->willReturn($type);
        $metadata->method('getName')->willReturn(Company::class);
        $manager = $this->createStub(ObjectManager::class);
        $manager->method('getClassMetadata')->willReturn($metadata);
        $manager->method('find')->willReturnCallback(static fn (string $class, string $id): Company => match ($id) {
            'not one' => throw new ConversionException('no UUID'),
            // PostgreSQL's error.
            '9999999999' => throw self::driverException('numeric value out of range', '22003'),
            'away' => throw self::driverException('the server closed the connection', '08006'),
            default => new Company($id),
        });
        $doctrine = $this->createStub(ManagerRegistry::class);
        $doctrine->method('getManagerForClass')->willReturn($manager);
        $decisions = $this->createStub(AccessDecisionManagerInterface::class);
        $decisions->method('decide')->willReturn(true);
        $topics = new VotedTopics(
            $topics,
            new Authorization(null, $decisions),
            $doctrine,
            $this->outcomes = new RequestedTopics(),
            new Guard($logger),
        );
        $requested = array_map(static fn (string $id): string => "acme/company/$id", $ids);

        return array_map(static fn (Grant $grant): string => substr($grant->text, \strlen('acme/company/')), $topics->of($requested));
    }

    private static function driverException(string $message, string $state): DriverException
    {
        return new DriverException(new class ($message, $state) extends AbstractException {
        }, null);
    }
}
