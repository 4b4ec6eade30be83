<?php

declare(strict_types=1);

namespace Orosync\Tests\Command;

use Orosync\Command\MaintenanceCommand;
use Orosync\Entry\Guard;
use Orosync\Maintenance\MaintenanceAnnouncer;
use Orosync\Maintenance\MaintenanceMode;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\UserClaims;
use Psr\Log\NullLogger;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\CommandTester;

final class MaintenanceCommandTest extends ApplicationTestCase
{
    private string $file;

    protected function setUp(): void
    {
        $this->file = getenv('BUNDLE_TEST_DIRECTORY') . '/maintenance-' . bin2hex(random_bytes(4));
    }

    public function testSwitchingNotifiesPagesAndReportsIt(): void
    {
        $this->boot(['maintenance' => ['flag_file' => $this->file]]);
        $command = new CommandTester((new Application($this->kernel()))->find('orosync:maintenance'));

        self::assertSame(0, $command->execute(['mode' => 'on']));
        self::assertSame("Maintenance mode is on.\nAll open pages are notified.\n", $command->getDisplay(true));
        self::assertFileExists($this->file);
        self::assertSame(['{"isOn":true,"userId":null}'], $this->publisher()->take('oro/maintenance'));

        $command->execute(['mode' => 'on']);
        self::assertStringContainsString('Maintenance mode was already on.', $command->getDisplay());

        $command->execute(['mode' => 'off']);
        self::assertStringContainsString('Maintenance mode is off.', $command->getDisplay());
        self::assertFileDoesNotExist($this->file);
    }

    public function testWithoutAServerSwitchingWorksAndReportsThatPagesAreNotNotified(): void
    {
        $command = $this->command(new RecordingPublisher(acknowledges: false));

        self::assertSame(0, $command->execute(['mode' => 'on']));
        self::assertFileExists($this->file);
        self::assertMatchesRegularExpression('/not notified yet: memory: has not\s+acknowledged.+\(connection refused\)\.\s+Is the server running\?/s', $command->getDisplay());
    }

    public function testWithoutAPublisherSwitchingWorksAndReportsThatPagesAreNotNotified(): void
    {
        $command = $this->command(new RecordingPublisher(accepts: false));

        self::assertSame(0, $command->execute(['mode' => 'on']));
        self::assertFileExists($this->file);
        self::assertStringContainsString('Open pages were not notified:', $command->getDisplay());
    }

    public function testAnInvalidArgumentIsRefused(): void
    {
        $command = $this->command(new RecordingPublisher());

        self::assertSame(2, $command->execute(['mode' => 'maybe']));
        self::assertStringContainsString('mode: "maybe" is neither "on" nor "off".', $command->getDisplay());
        self::assertFileDoesNotExist($this->file);
    }

    public function testAFlagFileThatCannotBeWrittenIsAnError(): void
    {
        $this->file = __FILE__ . '/maintenance';
        $command = $this->command(new RecordingPublisher());

        self::assertSame(1, $command->execute(['mode' => 'on']));
        self::assertStringContainsString('orosync.maintenance.flag_file', $command->getDisplay());
    }

    private function command(RecordingPublisher $publisher): CommandTester
    {
        return new CommandTester(new MaintenanceCommand(new MaintenanceMode($this->file, new MaintenanceAnnouncer($publisher, new UserClaims(null, [], new NullLogger()), new Guard(new NullLogger()))), $publisher));
    }
}
