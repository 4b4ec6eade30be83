<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** `orosync-server publish` with this application's settings. */
#[AsCommand(name: 'orosync:publish', description: 'Publish a message and wait for the server\'s acknowledgement')]
final class PublishCommand extends Command
{
    use ReportsErrors;

    public function __construct(private readonly ServerTool $server)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addArgument('topic', InputArgument::REQUIRED, 'For example oro/ping')
            ->addArgument('json', InputArgument::REQUIRED, 'The payload, one JSON value; "-" reads one per line from standard input')
            ->setHelp(
                "  <info>bin/console orosync:publish oro/ping '\"hello\"'</info>\n\n"
                . 'The command fails if the server has no such topic. Write <info>--</info> before a payload that begins with "-", such as <info>-1</info>.',
            );
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        // After "--" nothing is parsed as an option, even with a leading "-".
        return self::reportingErrors($output, fn (): int => $this->server->run(
            'publish',
            ['--', $input->getArgument('topic'), $input->getArgument('json')],
        ));
    }
}
