<?php

declare(strict_types=1);

namespace Orosync\Command;

use Orosync\Maintenance\MaintenanceMode;
use Orosync\Publishing\PublisherInterface;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;

/** Switches the maintenance mode and waits up to FLUSH_SECONDS until the server has acknowledged the announcement. */
#[AsCommand(name: 'orosync:maintenance', description: 'Switch the maintenance mode on or off, and notify all open pages')]
final class MaintenanceCommand extends Command
{
    private const FLUSH_SECONDS = 3.0;

    public function __construct(
        private readonly MaintenanceMode $mode,
        private readonly PublisherInterface $publisher,
    ) {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addArgument('mode', InputArgument::REQUIRED, '"on" or "off"');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $io = new SymfonyStyle($input, $output);
        $mode = $input->getArgument('mode');
        if ('on' !== $mode && 'off' !== $mode) {
            $io->error(sprintf('mode: "%s" is neither "on" nor "off".', $mode));

            return Command::INVALID;
        }
        try {
            return $this->switch($mode, $io);
        } catch (\Throwable $e) {
            $io->error($e->getMessage());

            return Command::FAILURE;
        }
    }

    private function switch(string $mode, SymfonyStyle $io): int
    {
        $already = ('on' === $mode) === $this->mode->isOn();
        $accepted = 'on' === $mode ? $this->mode->on() : $this->mode->off();
        $io->writeln(sprintf('Maintenance mode %s %s.', $already ? 'was already' : 'is', $mode));

        // The mode is switched even if the announcement fails, so that a deployment continues.
        if (!$accepted) {
            $io->warning(sprintf(
                'Open pages were not notified: %s',
                $this->publisher->status()->lastError ?? 'the message was not accepted; the log contains the reason.',
            ));
        } elseif (!$this->publisher->flush(self::FLUSH_SECONDS)) {
            $status = $this->publisher->status();
            $io->warning('refused' === $status->state ? sprintf(
                'Open pages are not notified: %s: %s.',
                $status->endpoint,
                $status->lastError ?? 'the server refuses this application',
            ) : sprintf(
                'Open pages are not notified yet: %s has not acknowledged the message within %.0f seconds (%s). '
                . 'Is the server running?',
                $status->endpoint,
                self::FLUSH_SECONDS,
                $status->lastError ?? $status->state,
            ));
        } else {
            $io->writeln('All open pages are notified.');
        }

        return Command::SUCCESS;
    }
}
