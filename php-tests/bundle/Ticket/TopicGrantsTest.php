<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Application\User;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Ticket\TopicGrants;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorage;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\UserInterface;

final class TopicGrantsTest extends TestCase
{
    public function testATicketCarriesWhatAllGrantsNameEachOnce(): void
    {
        $grants = self::grants([self::granting('acme/project/7', 'acme/news'), self::granting('acme/news', 'acme/room/{room}')]);

        self::assertSame(['topics' => ['acme/project/7', 'acme/news', 'acme/room/{room}']], $grants->claimForCurrentUser());
    }

    public function testWithoutAGrantATicketHasNoSuchClaim(): void
    {
        self::assertSame([], self::grants([])->claimForCurrentUser());
        self::assertSame([], self::grants([self::granting()])->claimForCurrentUser());
    }

    public function testNobodyIsGrantedAnything(): void
    {
        self::assertSame([], (new TopicGrants([self::granting('acme/news')], new TokenStorage(), new RecordingLogger()))->claimForCurrentUser());
        self::assertSame([], (new TopicGrants([self::granting('acme/news')], null, new RecordingLogger()))->claimForCurrentUser());
    }

    public function testAGrantThatFailsKeepsNobodyFromTheOthers(): void
    {
        $failing = new class () implements TopicGrantInterface {
            public function topicsFor(UserInterface $user): iterable
            {
                throw new \DomainException('no projects today');
            }
        };
        $logger = new RecordingLogger();

        self::assertSame(['topics' => ['acme/news']], self::grants([$failing, self::granting('acme/news')], $logger)->claimForCurrentUser());
        self::assertCount(1, $logger->lines('grants nothing: no projects today'));
    }

    /** @param list<TopicGrantInterface> $grants */
    private static function grants(array $grants, RecordingLogger $logger = new RecordingLogger()): TopicGrants
    {
        $tokens = new TokenStorage();
        $tokens->setToken(new UsernamePasswordToken(new User('ann', 7, null), 'main'));

        return new TopicGrants($grants, $tokens, $logger);
    }

    private static function granting(string ...$topics): TopicGrantInterface
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
