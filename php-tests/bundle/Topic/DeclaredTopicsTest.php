<?php

declare(strict_types=1);

namespace Orosync\Tests\Topic;

use Orosync\DependencyInjection\Compiler\TopicsPass;
use Orosync\DependencyInjection\OrosyncExtension;
use Orosync\Entry\Guard;
use Orosync\Messenger\Publish;
use Orosync\Messenger\PublishHandler;
use Orosync\OrosyncBundle;
use Orosync\Profiler\RecordingPublisher;
use Orosync\Test\InMemoryPublisher;
use Orosync\Test\IsPublished;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Topic\DeclaredTopics;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\ExpectationFailedException;
use Psr\Log\LoggerInterface;
use Psr\Log\NullLogger;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\Console\Tester\CommandTester;
use Symfony\Component\DependencyInjection\Compiler\AttributeAutoconfigurationPass;
use Symfony\Component\DependencyInjection\Compiler\ResolveInstanceofConditionalsPass;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

/** Declared topics, and warnings about messages to undeclared ones. */
final class DeclaredTopicsTest extends ApplicationTestCase
{
    private const TOPICS = ['acme/orders/{uid:int}' => 'owner', 'acme/chat/{room}' => ['subscribe' => 'user', 'publish' => 'user']];

    public function testTopicsHaveTheOrderOfTheConfiguration(): void
    {
        $rules = $this->declared(self::TOPICS)->rules();

        self::assertSame(
            [['acme/orders/{uid:int}', 'owner', 'publisher'], ['acme/chat/{room}', 'user', 'user']],
            array_map(static fn (object $rule): array => [$rule->pattern, $rule->subscribe, $rule->publish], $rules),
        );
    }

    /** @dataProvider topics */
    #[DataProvider('topics')]
    public function testAnUndeclaredTopicIsReportedWithTheNearestOne(string $topic, ?string $problem): void
    {
        $said = $this->declared(self::TOPICS)->problem($topic);

        self::assertSame($problem, null === $said ? null : preg_replace('/^not delivered: "[^"]*" is not declared\./', '', $said));
    }

    public static function topics(): iterable
    {
        $where = ' Declare it in orosync.topics';
        yield ['acme/orders/7', null];
        yield ['acme/chat/general', null];
        yield 'built in' => ['oro/data/update', null];
        yield 'built in, with a capture' => ['oro/email_event/7/*', null];
        yield 'a slip' => ['acme/order/7', ' Did you mean "acme/orders/{uid:int}"?' . $where];
        yield 'another kind of value' => ['acme/orders/seven', ' Did you mean "acme/orders/{uid:int}"?' . $where];
        yield 'a slip in a topic of Oro' => ['oro/data/updates', ' Did you mean "oro/data/update"?' . $where];
        yield 'nothing like it' => ['shop/prices', $where];
    }

    public function testWithoutDeclarationsEveryTopicIsAccepted(): void
    {
        self::assertNull($this->declared([])->problem('acme/anything'));
        self::assertNull((new DeclaredTopics([['pattern' => 'a', 'subscribe' => 'user', 'publish' => 'publisher', 'origin' => '']], false))->problem('b'));
    }

    public function testAFailedAssertionSuggestsTheNearestTopic(): void
    {
        $publisher = $this->boot(['test' => true, 'topics' => self::TOPICS], [], ['publisher'])->get(InMemoryPublisher::class);
        self::assertTrue($publisher->publish('acme/order/7', 1), 'accepted, as with the server');

        $this->expectException(ExpectationFailedException::class);
        $this->expectExceptionMessage('"acme/order/7": not delivered: "acme/order/7" is not declared. Did you mean "acme/orders/{uid:int}"?');
        self::assertThat($publisher, new IsPublished('acme/order/7', null));
    }

    public function testMessengerDoesNotRetryAnUndeclaredTopic(): void
    {
        $publisher = new InMemoryPublisher();
        $handler = new PublishHandler($publisher, $this->declared(self::TOPICS));
        $handler(new Publish('acme/orders/7', 1));
        self::assertCount(1, $publisher->messages());

        $this->expectException(UnrecoverableMessageHandlingException::class);
        $this->expectExceptionMessage('A message to "acme/order/7" can never be sent: not delivered');
        $handler(new Publish('acme/order/7', 1));
    }

    public function testPublishingSucceedsIfTheWarningCannotBeLogged(): void
    {
        $failing = $this->createStub(LoggerInterface::class);
        $failing->method('warning')->willThrowException(new \RuntimeException('the disk is full'));
        $publisher = new RecordingPublisher(
            static fn (): InMemoryPublisher => new InMemoryPublisher(),
            $this->declared(self::TOPICS),
            $failing,
            $guard = new Guard(new NullLogger()),
        );

        self::assertTrue($publisher->publish('acme/order/7', 1));
        self::assertStringContainsString('Did you mean', $publisher->records()[0]->problem);
        self::assertSame(1, $guard->count());
    }

    public function testTopicsAreExportedWithoutOrigins(): void
    {
        $tester = new CommandTester($this->boot(['topics' => self::TOPICS], [], ['publisher'])->get('orosync.topics_export_command'));

        self::assertSame(0, $tester->execute([]));
        self::assertSame(
            <<<'TOML'
                # Topics of this application. Written by: bin/console orosync:topics:export

                # orosync.topics
                [[topics]]
                pattern = "acme/orders/{uid:int}"
                subscribe = "owner"
                publish = "publisher"

                # orosync.topics
                [[topics]]
                pattern = "acme/chat/{room}"
                subscribe = "user"
                publish = "user"

                TOML,
            $tester->getDisplay(true),
        );
    }

    /** @dataProvider mistakes */
    #[DataProvider('mistakes')]
    public function testAnInvalidDeclarationIsReportedWhenTheContainerIsBuilt(array $topics, string $message): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage($message);

        $this->declared($topics);
    }

    public static function mistakes(): iterable
    {
        yield [['acme/{x' => 'user'], 'orosync.topics: the topic "acme/{x": captures are {name}'];
        yield [['acme/{x:str}' => 'user'], 'captures are {name}, {name:int} or {name:int_or_star}'];
        yield [['acme/x' => 'everybody'], 'everybody'];
        yield [['acme/x' => 'owner'], 'owner is the user whose id is in the topic. Add {uid:int}, or {uid} for ids such as UUIDs.'];
        yield [['acme/x' => ['publish' => 'user']], 'neither subscribe nor voter is set. Set subscribe, or voter and class.'];
        yield [['acme/x' => 'role:ROLE_SALES'], 'subscribe is "role:ROLE_SALES", not one of anyone, customer, user, owner, granted, nobody, a role such as ROLE_SALES'];
        yield [['acme/x' => 'ROLE_SALES OR ROLE_LEAD'], 'not one of'];
        yield [['acme/x' => ['ROLE_SALES', 'owner']], 'subscribe is "ROLE_SALES,owner", not one of'];
        yield [['acme/x' => 'ROLE_' . str_repeat('X', 100)], 'a role such as ROLE_SALES (of at most 100 bytes)'];
        yield [['acme/{id}' => ['voter' => 'VIEW', 'class' => Company::class, 'subscribe' => 'user']], 'subscribe and voter are both set.'];
        yield [['acme/{id}' => ['voter' => 'VIEW']], 'voter and class must be set together'];
        yield [['acme/{id}' => ['class' => Company::class, 'subscribe' => 'user']], 'voter and class must be set together'];
        yield [['acme/{id}' => ['voter' => 'VIEW', 'class' => 'App\\Entity\\Ordr']], 'the class "App\Entity\Ordr" does not exist'];
        yield [['acme/order' => ['voter' => 'VIEW', 'class' => Company::class]], 'a voter needs one capture, the id of the object'];
        yield [['acme/{a}/{b}' => ['voter' => 'VIEW', 'class' => Company::class]], 'a voter needs one capture'];
        yield [['acme/{id}' => ['voter' => 'VIEW', 'class' => Company::class]], 'it needs the security bundle, which is not installed'];
        yield [['acme/x' => 'ROLE_SALES'], 'it needs the security bundle, which is not installed'];
    }

    public function testTooManyRolesAreRefused(): void
    {
        $topics = [];
        foreach (range(1, 33) as $number) {
            $topics["acme/$number"] = "ROLE_$number";
        }
        $this->expectExceptionMessage('The topics of this application name 33 roles; a ticket holds at most 32.');

        $this->boot(['topics' => $topics], [], ['publisher', 'security']);
    }

    public function testAVoterNeedsDoctrine(): void
    {
        $this->expectExceptionMessage('a voter needs Doctrine to load the object, which is not installed');

        $this->boot(['topics' => ['acme/{id}' => ['voter' => 'VIEW', 'class' => Company::class]]], [], ['publisher', 'security']);
    }

    public function testRolesBecomePoliciesAndVotersBecomeGrants(): void
    {
        $rules = $this->boot(['topics' => [
            'acme/sales' => 'ROLE_SALES',
            'acme/help' => ['ROLE_SUPPORT', 'ROLE_SALES'],
            'acme/lead' => ['subscribe' => ['ROLE_LEAD'], 'publish' => 'user'],
            'acme/company/{company}' => ['voter' => 'VIEW', 'class' => Company::class],
        ]], [], ['publisher', 'security', 'doctrine'])->get('orosync.declared_topics')->rules();

        self::assertSame(
            [
                ['acme/sales', 'role:ROLE_SALES', 'publisher'],
                ['acme/help', 'role:ROLE_SUPPORT,ROLE_SALES', 'publisher'],
                ['acme/lead', 'role:ROLE_LEAD', 'user'],
                ['acme/company/{company}', 'granted', 'publisher'],
            ],
            array_map(static fn (object $rule): array => [$rule->pattern, $rule->subscribe, $rule->publish], $rules),
        );
    }

    public function testAServiceMayDeclareItsTopics(): void
    {
        $container = new ContainerBuilder();
        foreach (['kernel.bundles' => [], 'kernel.environment' => 'test', 'kernel.debug' => true, 'kernel.project_dir' => __DIR__, 'kernel.cache_dir' => __DIR__, 'kernel.secret' => 'x'] as $name => $value) {
            $container->setParameter($name, $value);
        }
        (new OrosyncBundle())->build($container);
        (new OrosyncExtension())->load([['topics' => ['acme/first' => 'user']]], $container);
        $container->register('security.access.decision_manager');
        $container->register('doctrine');
        foreach (['one', 'two'] as $id) {
            $container->register($id, OrderShipped::class)->setAutoconfigured(true);
        }
        (new AttributeAutoconfigurationPass())->process($container);
        (new ResolveInstanceofConditionalsPass())->process($container);
        (new TopicsPass())->process($container);

        self::assertSame(
            [
                ['pattern' => 'acme/first', 'subscribe' => 'user', 'publish' => 'publisher', 'origin' => 'orosync.topics'],
                ['pattern' => 'acme/shipped/{uid:int}', 'subscribe' => 'owner', 'publish' => 'publisher', 'origin' => OrderShipped::class],
                ['pattern' => 'acme/late', 'subscribe' => 'user', 'publish' => 'nobody', 'origin' => OrderShipped::class],
                ['pattern' => 'acme/sales', 'subscribe' => 'role:ROLE_SALES,ROLE_LEAD', 'publish' => 'publisher', 'origin' => OrderShipped::class],
                ['pattern' => 'acme/company/{company}', 'subscribe' => 'granted', 'publish' => 'publisher', 'origin' => OrderShipped::class],
            ],
            $container->getDefinition('orosync.declared_topics')->getArgument('$topics'),
        );
        self::assertSame(
            ['acme/first' => null, 'acme/shipped/{uid:int}' => null, 'acme/late' => null, 'acme/sales' => null, 'acme/company/{company}' => 'VIEW'],
            array_column($container->getDefinition('orosync.voted_topics')->getArgument('$topics'), 'voter', 'pattern'),
            'all, for the first that matches decides',
        );
    }

    /** @param array<string, mixed> $topics */
    private function declared(array $topics): DeclaredTopics
    {
        return $this->boot(['topics' => $topics], [], ['publisher'])->get('orosync.declared_topics');
    }
}
