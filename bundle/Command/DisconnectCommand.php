<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\OutputInterface;

/** `orosync-server disconnect` with this application's settings. */
#[AsCommand(name: 'orosync:disconnect', description: 'End the sessions of a user, or one session. Pages of a user who is still logged in reconnect')]
final class DisconnectCommand extends Command
{
    use ReportsErrors;

    private const NAMED = ['role', 'uid', 'user', 'session'];

    public function __construct(private readonly ServerTool $server)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addOption('role', null, InputOption::VALUE_REQUIRED, 'Role in the tickets: user, customer or anonymous; with --uid or --user')
            ->addOption('uid', null, InputOption::VALUE_REQUIRED, 'All sessions of the user with this id')
            ->addOption('user', null, InputOption::VALUE_REQUIRED, 'All sessions of the user with this name')
            ->addOption('session', null, InputOption::VALUE_REQUIRED, 'The session with this id: 32 hexadecimal digits')
            ->setHelp('  <info>bin/console orosync:disconnect --role user --user anna</info>');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $arguments = [];
        foreach (self::NAMED as $option) {
            $value = $input->getOption($option);
            if (null !== $value) {
                $arguments[] = sprintf('--%s=%s', $option, $value);
            }
        }

        return self::reportingErrors($output, fn (): int => $this->server->run('disconnect', $arguments));
    }
}
