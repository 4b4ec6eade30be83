<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\DependencyInjection\Compiler\UserRolesPass;
use Orosync\DependencyInjection\OrosyncExtension;
use Orosync\Session\SessionTerminator;
use Orosync\Tests\Application\AnybodyProvider;
use Orosync\Tests\Application\Customer;
use Orosync\Tests\Application\CustomerProvider;
use Orosync\Tests\Application\User;
use Orosync\Tests\Application\UserProvider;
use Orosync\Tests\Application\Wholesaler;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\UserClaimsInterface;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\Security\Core\User\InMemoryUser;
use Symfony\Component\Security\Core\User\UserInterface;

/** The role of each user class. Users of two classes with the same id are different identities. */
final class UserRolesTest extends ApplicationTestCase
{
    private const WITH = ['security', 'doctrine'];
    private const USERS = ['id' => UserProvider::class];
    private const CUSTOMERS = ['entity' => ['class' => Customer::class, 'property' => 'name']];

    public function testUsersOfTwoClassesAreDifferentIdentities(): void
    {
        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS], [User::class => 'user', Customer::class => 'customer']);

        self::assertSame(['sub' => 'boss', 'uid' => 7, 'role' => 'user'], $this->inTicket(new User('boss', 7, null)));
        self::assertSame(['sub' => 'eve@shop', 'uid' => 7, 'role' => 'customer'], $this->inTicket(new Customer('eve@shop', 7)));
        $sessions = $this->kernel()->getContainer()->get(SessionTerminator::class);
        self::assertTrue($sessions->endSessionsOf(new Customer('eve@shop', 7)));
        self::assertTrue($sessions->endSessionsOf(new User('boss', 7, null)));
        self::assertSame(['{"role":"customer","uid":7}', '{"role":"user","uid":7}'], $this->ended());
    }

    /**
     * @param array<string, mixed> $providers
     *
     * @dataProvider providersOfOneClass
     */
    #[DataProvider('providersOfOneClass')]
    public function testOneClassNeedsNoConfiguration(array $providers, UserInterface $user, array $expected): void
    {
        $this->bootWith($providers);

        self::assertSame($expected, $this->claimsOf($user));
        self::assertSame([], $this->logger()->lines('anonymous to the server'));
    }

    public static function providersOfOneClass(): iterable
    {
        $customer = [new Customer('eve', 7), ['sub' => 'eve', 'uid' => 7, 'role' => 'user']];
        yield 'a service that says what it returns' => [['shop' => ['id' => CustomerProvider::class]], ...$customer];
        yield 'entities' => [['shop' => self::CUSTOMERS], ...$customer];
        yield 'two ways to the same users' => [['shop' => self::CUSTOMERS, 'api' => ['id' => CustomerProvider::class]], ...$customer];
        yield 'a chain' => [['all' => ['chain' => ['providers' => ['shop', 'api']]], 'shop' => self::CUSTOMERS, 'api' => ['id' => CustomerProvider::class]], ...$customer];
        yield 'beside the empty provider of a new application' => [['users_in_memory' => ['memory' => null], 'shop' => self::CUSTOMERS], ...$customer];
        yield 'beside a service that does not say' => [['shop' => self::CUSTOMERS, 'any' => ['id' => AnybodyProvider::class]], ...$customer];
        yield 'users in memory' => [['few' => ['memory' => ['users' => ['bob' => ['password' => 'x', 'roles' => []]]]]], new InMemoryUser('bob', 'x'), ['sub' => 'bob', 'role' => 'user']];
    }

    public function testSeveralUnconfiguredClassesAreRefusedWithTheLinesToAdd(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage(sprintf(
            "orosync:\n    users:\n        %s: user # or customer, anonymous\n        %s: customer # or user, anonymous\n",
            Customer::class,
            User::class,
        ));

        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS]);
    }

    public function testAMissingClassIsRefusedWithTheLinesToAdd(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage(sprintf(
            "orosync:\n    users:\n        %s: user\n        %s: customer # or user, anonymous\n        %s: anonymous # or user, customer\n",
            Customer::class,
            InMemoryUser::class,
            User::class,
        ));

        $few = ['memory' => ['users' => ['bob' => ['password' => 'x', 'roles' => []]]]];
        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS, 'few' => $few], [Customer::class => 'user']);
    }

    /**
     * @param array<string, string> $users
     *
     * @dataProvider wrongRoles
     */
    #[DataProvider('wrongRoles')]
    public function testAnInvalidUserMapIsRefused(array $users, string $message): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage($message);

        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS], $users);
    }

    public static function wrongRoles(): iterable
    {
        yield 'one role for two' => [
            [User::class => 'user', Customer::class => 'user'],
            sprintf('orosync.users: "%s" and "%s" are both "user", so the server could not tell two users with the same id apart', User::class, Customer::class),
        ];
        yield 'a class that is not there' => [['App\Entity\Usr' => 'user'], 'orosync.users: "App\Entity\Usr" is not a user class.'];
        yield 'a class of something else' => [[self::class => 'user'], sprintf('orosync.users: "%s" is not a user class.', self::class)];
        yield 'the interface of all' => [[UserInterface::class => 'user'], 'is not a user class.'];
        yield 'a role that tickets do not have' => [[User::class => 'admin'], 'The value "admin" is not allowed for path "orosync.users.'];
    }

    public function testASubclassAndAProxyHaveTheRoleOfTheirClass(): void
    {
        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS], [User::class => 'user', Customer::class => 'customer']);
        $proxy = new class ('eve', 7) extends Wholesaler {
        };

        foreach ([new Wholesaler('eve', 7), $proxy] as $user) {
            self::assertSame(['sub' => 'eve', 'uid' => 7, 'role' => 'customer'], $this->claimsOf($user));
        }
    }

    public function testTheNearestParentDecides(): void
    {
        $this->bootWith(['shop' => self::CUSTOMERS], [Customer::class => 'customer', Wholesaler::class => 'user']);

        self::assertSame('customer', $this->claimsOf(new Customer('eve', 7))['role']);
        self::assertSame('user', $this->claimsOf(new Wholesaler('eve', 7))['role']);
    }

    public function testAClassMayBeAnonymous(): void
    {
        $this->bootWith(['back' => self::USERS, 'shop' => self::CUSTOMERS], [User::class => 'user', Customer::class => 'anonymous']);

        self::assertSame(['role' => 'anonymous'], $this->inTicket(new Customer('eve', 7)));
        self::assertFalse($this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf(new Customer('eve', 7)));
        self::assertSame([], $this->ended());
        self::assertSame([], $this->logger()->lines('anonymous to the server'));
    }

    public function testAClassKnownOnlyAtRunTimeIsAnonymousAndLoggedOnceWithTheLinesToAdd(): void
    {
        $this->bootWith(['back' => self::USERS, 'any' => ['id' => AnybodyProvider::class]]);

        self::assertSame(['role' => 'anonymous'], $this->inTicket(new Customer('eve', 7)));
        self::assertSame(['role' => 'anonymous'], $this->claimsOf(new Customer('eve', 7)));
        self::assertFalse($this->kernel()->getContainer()->get(SessionTerminator::class)->endSessionsOf(new Customer('eve', 7)));
        self::assertSame([], $this->ended());
        self::assertSame(7, $this->claimsOf(new User('boss', 7, null))['uid']);
        self::assertCount(1, $this->logger()->lines('warning: Users of the class ' . Customer::class . ' are anonymous to the server'));
        self::assertCount(1, $this->logger()->lines('"orosync: {users: {' . Customer::class . ': user}}"'));
    }

    public function testACustomUserClaimsServiceNeedsNoUserMap(): void
    {
        $this->boot([], [], ['security', 'doctrine', 'own claims'], ['back' => self::USERS, 'shop' => self::CUSTOMERS]);

        self::assertSame(12, $this->claimsOf(new Customer('eve', 7))['uid']);
    }

    public function testTheContainerCanBeBuiltWithUnusualUserProviders(): void
    {
        $container = new ContainerBuilder();
        $container->setParameter('kernel.bundles', []);
        (new OrosyncExtension())->load([], $container);
        $prefix = 'security.user.provider.concrete.';
        foreach (
            [
                new Definition(),
                new Definition('Acme\Gone', ['Acme\User', '%acme.gone%', new Definition('Acme\Gone')]),
                new Definition('%acme.gone%'),
                new ChildDefinition('acme.gone'),
                (new Definition())->setSynthetic(true),
                (new Definition())->setFactory(['Acme\Gone', 'build']),
            ] as $index => $definition
        ) {
            $container->setDefinition($prefix . $index, $definition);
        }
        $container->setAlias($prefix . 'gone', 'acme.gone');
        $container->register($prefix . 'shop', CustomerProvider::class);
        (new UserRolesPass())->process($container);

        self::assertSame([Customer::class => 'user'], $container->getDefinition('orosync.user_claims')->getArgument('$roles'));
    }

    /**
     * @param array<string, mixed>  $providers
     * @param array<string, string> $users
     */
    private function bootWith(array $providers, array $users = []): void
    {
        $this->boot([] === $users ? [] : ['users' => $users], [], self::WITH, $providers);
    }

    /** @return array<string, mixed> */
    private function claimsOf(UserInterface $user): array
    {
        return $this->kernel()->getContainer()->get(UserClaimsInterface::class)->claimsOf($user);
    }

    /** @return array<string, mixed> */
    private function inTicket(UserInterface $user): array
    {
        $ticket = $this->kernel()->getContainer()->get('orosync.browser_tickets')->forUser($user);

        return json_decode($ticket, true, 512, \JSON_THROW_ON_ERROR)['claims'];
    }

    /** @return list<string> */
    private function ended(): array
    {
        return $this->kernel()->getContainer()->get(RecordingPublisher::class)->take('orosync/disconnect');
    }
}
