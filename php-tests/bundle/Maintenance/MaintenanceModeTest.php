<?php

declare(strict_types=1);

namespace Orosync\Tests\Maintenance;

use Orosync\Maintenance\MaintenanceMode;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Symfony\Contracts\EventDispatcher\Event;

final class MaintenanceModeTest extends ApplicationTestCase
{
    private const TOPIC = 'oro/maintenance';

    private string $file;

    protected function setUp(): void
    {
        $this->file = getenv('BUNDLE_TEST_DIRECTORY') . '/' . bin2hex(random_bytes(4)) . '/var/maintenance';
    }

    public function testTheFlagFileExistsDuringMaintenanceAndPagesAreNotified(): void
    {
        $mode = $this->mode();
        self::assertFalse($mode->isOn());

        self::assertTrue($mode->on());
        self::assertTrue($mode->isOn());
        self::assertFileExists($this->file);
        self::assertSame(['{"isOn":true,"userId":null}'], $this->publisher()->take(self::TOPIC));

        self::assertTrue($mode->off());
        self::assertFalse($mode->isOn());
        self::assertFileDoesNotExist($this->file);
        self::assertSame(['{"isOn":false,"userId":null}'], $this->publisher()->take(self::TOPIC));
    }

    public function testTheNotificationNamesTheUserWhoSwitchedMaintenanceOn(): void
    {
        $mode = $this->mode();
        $this->logIn(new User('ann', 7, null));
        $mode->on();

        self::assertSame(['{"isOn":true,"userId":7}'], $this->publisher()->take(self::TOPIC));
    }

    public function testAnAnnouncementIsRepeatedWhenTheModeIsSwitchedAgain(): void
    {
        $mode = $this->mode();
        $mode->on();
        $mode->on();
        $mode->off();
        $mode->off();

        self::assertCount(4, $this->publisher()->take(self::TOPIC));
    }

    public function testAFlagFileThatCannotBeWrittenIsReportedAndPagesAreNotNotified(): void
    {
        touch(\dirname($this->file, 3) . '/not-a-directory');
        $mode = $this->boot(['maintenance' => ['flag_file' => getenv('BUNDLE_TEST_DIRECTORY') . '/not-a-directory/maintenance']])->get(MaintenanceMode::class);
        try {
            $mode->on();
            self::fail('The flag file was written below a file.');
        } catch (\RuntimeException $e) {
            self::assertStringContainsString('not-a-directory/maintenance"', $e->getMessage());
            self::assertStringContainsString('set orosync.maintenance.flag_file', $e->getMessage());
        }

        self::assertSame([], $this->publisher()->take(self::TOPIC));
    }

    public function testOrosMaintenanceEventsNotifyPagesWithoutAFlagFile(): void
    {
        $mode = $this->mode();
        $this->logIn(new User('ann', 7, null));
        $events = $this->kernel()->getContainer()->get('event_dispatcher');
        $events->dispatch(new Event(), 'maintenance.on');
        self::assertSame(['{"isOn":true,"userId":7}'], $this->publisher()->take(self::TOPIC));
        self::assertFalse($mode->isOn());

        $events->dispatch(new Event(), 'maintenance.off');
        self::assertSame(['{"isOn":false,"userId":7}'], $this->publisher()->take(self::TOPIC));
    }

    private function mode(): MaintenanceMode
    {
        return $this->boot(['maintenance' => ['flag_file' => $this->file]])->get(MaintenanceMode::class);
    }
}
