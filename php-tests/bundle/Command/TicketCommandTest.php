<?php

declare(strict_types=1);

namespace Orosync\Tests\Command;

use Orosync\Tests\Application\Customer;
use Orosync\Tests\Application\CustomerProvider;
use Orosync\Tests\Application\User;
use Orosync\Tests\Application\UserProvider;
use Orosync\Tests\ApplicationTestCase;
use Symfony\Component\Console\Tester\CommandTester;

/** The user of the ticket that the command prints. The tickets of these tests are not signed. */
final class TicketCommandTest extends ApplicationTestCase
{
    private const TWO = ['users' => ['id' => UserProvider::class], 'customers' => ['id' => CustomerProvider::class]];
    private const ROLES = ['users' => [User::class => 'user', Customer::class => 'customer']];

    public function testATicketHasTheClaimsOfTheUsersOwnPage(): void
    {
        $this->boot(['ticket' => ['ttl' => 60]]);

        self::assertSame(
            ['claims' => ['sub' => 'ann', 'uid' => 7, 'org' => 3, 'role' => 'user'], 'ttl' => 60],
            $this->ticket(['user' => 'ann']),
        );
        self::assertNull($this->kernel()->getContainer()->get('security.untracked_token_storage')->getToken(), 'no user stays logged in');
    }

    public function testWithoutAUserTheTicketIsAnonymous(): void
    {
        $this->boot([], [], []);

        self::assertSame(['role' => 'anonymous'], $this->ticket([])['claims']);
    }

    public function testAnUnknownUserIsReportedWithTheProviders(): void
    {
        $this->boot();

        self::assertStringContainsString('No user provider knows "bob" (users: ', $this->failure(['user' => 'bob']));
    }

    public function testWithoutTheSecurityBundleThereAreNoUsers(): void
    {
        $this->boot([], [], []);

        self::assertStringContainsString('No user provider knows "ann" (there is none).', $this->failure(['user' => 'ann']));
    }

    public function testAProviderMustBeSelectedIfSeveralHaveTheUser(): void
    {
        $this->boot(self::ROLES, [], ['security'], self::TWO + ['all' => ['chain' => ['providers' => ['users', 'customers']]]]);

        self::assertStringContainsString(
            'Several user providers know "ann": customers, users. Name one with --provider.',
            $this->failure(['user' => 'ann']),
        );
        self::assertSame(['sub' => 'ann', 'uid' => 7, 'role' => 'customer'], $this->ticket(['user' => 'ann', '--provider' => 'customers'])['claims']);
        self::assertSame('bob', $this->ticket(['user' => 'bob'])['claims']['sub'], 'only one knows him');
        self::assertStringContainsString('there is no user provider "staff". Available: all, customers, users.', $this->failure(['user' => 'ann', '--provider' => 'staff']));
    }

    /** @param array<string, string> $input */
    private function ticket(array $input): array
    {
        $command = $this->executed($input);
        self::assertSame(0, $command->getStatusCode(), $command->getDisplay());

        return json_decode($command->getDisplay(), true, 512, \JSON_THROW_ON_ERROR);
    }

    /** @param array<string, string> $input */
    private function failure(array $input): string
    {
        $command = $this->executed($input);
        self::assertSame(1, $command->getStatusCode());

        return $command->getDisplay();
    }

    /** @param array<string, string> $input */
    private function executed(array $input): CommandTester
    {
        $command = new CommandTester($this->kernel()->getContainer()->get('orosync.ticket_command'));
        $command->execute($input);

        return $command;
    }
}
