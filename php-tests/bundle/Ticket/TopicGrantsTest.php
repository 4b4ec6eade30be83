<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Entry\Guard;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Application\User;
use Orosync\Ticket\Grant;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Ticket\TopicGrants;
use Orosync\Topic\TopicPattern;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorage;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\UserInterface;

final class TopicGrantsTest extends TestCase
{
    public function testTheGrantsOfAllServicesAreMergedWithoutDuplicates(): void
    {
        $grants = self::grants([
            self::granting('acme/project/7', 'acme/news', '{room}', '7', 7),
            self::granting('acme/news', new TopicPattern('{room}'), new TopicPattern('{room}')),
        ]);

        self::assertSame(
            [['topics', 'acme/project/7'], ['topics', 'acme/news'], ['topics', '{room}'], ['topics', '7'], ['topics', 7], ['patterns', '{room}']],
            self::read($grants->forCurrentUser()),
        );
    }

    public function testWithoutGrantServicesNothingIsGranted(): void
    {
        self::assertSame([], self::grants([])->forCurrentUser());
        self::assertSame([], self::grants([self::granting()])->forCurrentUser());
    }

    public function testWithoutAUserNothingIsGranted(): void
    {
        self::assertSame([], (new TopicGrants([self::granting('acme/news')], new TokenStorage(), new Guard(new RecordingLogger())))->forCurrentUser());
        self::assertSame([], (new TopicGrants([self::granting('acme/news')], null, new Guard(new RecordingLogger())))->forCurrentUser());
    }

    public function testAFailingGrantDoesNotAffectOthers(): void
    {
        $failing = new class () implements TopicGrantInterface {
            public function topicsFor(UserInterface $user): iterable
            {
                throw new \DomainException('no projects today');
            }
        };
        $logger = new RecordingLogger();

        self::assertSame([['topics', 'acme/news']], self::read(self::grants([$failing, self::granting('acme/news')], $logger)->forCurrentUser()));
        self::assertCount(1, $logger->lines('grants nothing: no projects today'));
    }

    /** @param list<TopicGrantInterface> $grants */
    private static function grants(array $grants, RecordingLogger $logger = new RecordingLogger()): TopicGrants
    {
        $tokens = new TokenStorage();
        $tokens->setToken(new UsernamePasswordToken(new User('ann', 7, null), 'main'));

        return new TopicGrants($grants, $tokens, new Guard($logger));
    }

    /**
     * @param list<Grant> $grants
     *
     * @return list<array{string, mixed}>
     */
    private static function read(array $grants): array
    {
        return array_map(static fn (Grant $grant): array => [$grant->claim, $grant->text], $grants);
    }

    private static function granting(mixed ...$topics): TopicGrantInterface
    {
        return new class ($topics) implements TopicGrantInterface {
            public function __construct(private readonly array $topics)
            {
            }

            public function topicsFor(UserInterface $user): iterable
            {
                return 'ann' === $user->getUserIdentifier() ? $this->topics : [];
            }
        };
    }
}
