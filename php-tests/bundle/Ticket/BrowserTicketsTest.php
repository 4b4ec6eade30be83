<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Entry\Failure;
use Orosync\Entry\Guard;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\Jwt;
use Orosync\Ticket\Authorization;
use Orosync\Ticket\BrowserTickets;
use Orosync\Ticket\ConfiguredOrigins;
use Orosync\Ticket\RequestedTopics;
use Orosync\Ticket\RolesClaim;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Ticket\TopicGrants;
use Orosync\Ticket\UserClaimsInterface;
use Orosync\Ticket\VotedTopics;
use Orosync\Topic\TopicPattern;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/**
 * Grants in tickets issued by the extension.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class BrowserTicketsTest extends ApplicationTestCase
{
    public function testAStringIsALiteralTopicAndAPatternIsAType(): void
    {
        $room = '{x}';
        $claims = $this->claims([["acme/chat/$room", new TopicPattern('acme/import/{id:int}')]]);

        self::assertSame(['acme/chat/{x}'], $claims['topics']);
        self::assertSame(['acme/import/{id:int}'], $claims['patterns']);
        self::assertArrayNotHasKey('patterns', $this->claims([["acme/chat/$room"]]));
    }

    public function testEscapedBracesAreLiteralInAPattern(): void
    {
        foreach (['{x}', '}', '{', '{{x}}', '{id:int}', 'general'] as $room) {
            $pattern = 'acme/' . TopicPattern::escape($room) . '/{id:int}';

            self::assertSame([$pattern], $this->claims([[new TopicPattern($pattern)]])['patterns']);
        }
        self::assertSame('acme/{{x}}', 'acme/' . TopicPattern::escape('{x}'));
    }

    /**
     * @param list<list<mixed>>     $granted by each service
     * @param array<string, string> $left    what the log says, by where it is expected
     *
     * @dataProvider grantsThatDoNotFit
     */
    #[DataProvider('grantsThatDoNotFit')]
    public function testOnlyInvalidGrantsAreOmittedAndTheirServiceIsLogged(array $granted, array $topics, int $count, string $first, string $why): void
    {
        $guard = new Guard($logger = new RecordingLogger());
        $claims = $this->claims($granted, $guard);

        self::assertSame($topics, $claims['topics'] ?? []);
        self::assertSame([7, 'user'], [$claims['uid'], $claims['role']]);
        $lost = sprintf('A ticket was issued without %d of the topics granted by %s@anonymous; the first is %s', $count, TopicGrantInterface::class, $first);
        self::assertCount(1, $logger->lines(), implode("\n", $logger->lines()));
        self::assertStringStartsWith('error: ' . $lost . ': ', $logger->lines()[0]);
        self::assertStringContainsString($why, $logger->lines()[0]);
        self::assertSame([$lost], array_map(static fn (Failure $failure): string => $failure->lost, $guard->failures()), 'for the profiler');
    }

    public static function grantsThatDoNotFit(): iterable
    {
        $numbered = static fn (int $count, int $bytes = 1): array => array_map(
            static fn (int $number): string => str_pad("acme/$number/", $bytes, 'x'),
            range(1, $count),
        );
        yield 'a pattern that is wrong' => [[['acme/a'], ['acme/b', new TopicPattern('acme/{name}x')]], ['acme/a', 'acme/b'], 1, '"acme/{name}x"', 'the extent of {name} is ambiguous'];
        yield 'a control character' => [[['acme/a'], ["acme/\n", 'acme/b']], ['acme/a', 'acme/b'], 1, '"acme/\n"', 'U+000A'];
        yield 'an empty one' => [[['', 'acme/a']], ['acme/a'], 1, '""', 'is empty'];
        yield 'not UTF-8' => [[["acme/caf\xe9", 'acme/a']], ['acme/a'], 1, "\"acme/caf\u{FFFD}\"", 'not UTF-8'];
        yield 'no string' => [[[7, 'acme/a']], ['acme/a'], 1, 'int', 'it holds int'];
        yield 'too long' => [[[str_repeat('a', 256), 'acme/a']], ['acme/a'], 1, '"' . str_repeat('a', 100) . '"...', '256 bytes'];
        yield 'the 51st' => [[$numbered(60)], $numbered(50), 10, '"acme/51/"', 'at most 50'];
        yield 'more bytes than a ticket has' => [[$numbered(30, 250)], $numbered(23, 250), 7, '"' . substr(str_pad('acme/24/', 250, 'x'), 0, 100) . '"...', 'at most 8192'];
        yield 'very many that are wrong' => [[['acme/a'], array_map(static fn (int $number): string => "acme/\n$number", range(1, 5000))], ['acme/a'], 5000, '"acme/\n1"', 'U+000A'];
    }

    public function testIfNoTicketCanBeIssuedNoGrantIsLogged(): void
    {
        $guard = new Guard($logger = new RecordingLogger());
        $container = $this->boot(['backend' => ''], [], ['security', 'publisher', 'tickets']);
        try {
            self::tickets($container, [['acme/a']], $guard)->forUser(new User('ann', 7, null));
            self::fail('A ticket was issued without a backend.');
        } catch (TicketUnavailableException $e) {
            self::assertStringContainsString('the backend endpoint is empty', $e->getMessage());
        }
        self::assertSame([], $logger->lines());
    }

    /**
     * @param list<list<mixed>> $granted
     *
     * @return array<string, mixed>
     */
    private function claims(array $granted, Guard $guard = new Guard(new RecordingLogger())): array
    {
        $container = $this->boot([], [], ['security', 'publisher', 'tickets']);
        $ticket = self::tickets($container, $granted, $guard)->forUser(new User('ann', 7, null));

        return Jwt::verified($ticket, $container->get('orosync.shared_secret')->forServer()['OROSYNC_AUTH__SECRET']);
    }

    /** @param list<list<mixed>> $granted */
    private static function tickets(ContainerInterface $container, array $granted, Guard $guard): BrowserTickets
    {
        $services = array_map(static fn (array $topics): TopicGrantInterface => new class ($topics) implements TopicGrantInterface {
            public function __construct(private readonly array $topics)
            {
            }

            public function topicsFor(UserInterface $user): iterable
            {
                return $this->topics;
            }
        }, $granted);

        return new BrowserTickets(
            $container->get(TicketIssuerInterface::class),
            $container->get(UserClaimsInterface::class),
            new TopicGrants($services, null, $guard),
            new VotedTopics([], $authorization = new Authorization(null, null), null, new RequestedTopics(), $guard),
            new RolesClaim([], $authorization, $guard),
            new ConfiguredOrigins([]),
            $guard,
            300,
        );
    }
}
