<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** `orosync-server watch` with this application's settings. */
#[AsCommand(name: 'orosync:watch', description: 'Print the messages of topics as lines "TOPIC<TAB>JSON", until Ctrl-C')]
final class WatchCommand extends Command
{
    use ReportsErrors;

    public function __construct(private readonly ServerTool $server)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addArgument('topic', InputArgument::REQUIRED | InputArgument::IS_ARRAY, 'For example oro/data/update');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        return self::reportingErrors($output, fn (): int => $this->server->run('watch', ['--', ...$input->getArgument('topic')]));
    }
}
