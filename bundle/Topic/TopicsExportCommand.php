<?php

declare(strict_types=1);

namespace Orosync\Topic;

use Orosync\Command\Printable;
use Orosync\Endpoint\BindAddress;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\ConsoleOutputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/**
 * Prints this application's topics (in Oro also its origins) as a configuration for the server, or compares them with a running
 * server.
 *
 * The configuration is written to standard output, decisions to make to standard error.
 */
#[AsCommand(
    name: 'orosync:topics:export',
    description: 'Print this application\'s topics (in Oro also its origins) for orosync-server, or compare them with the server',
)]
final class TopicsExportCommand extends Command
{
    public function __construct(
        private readonly TopicSourceInterface $topics,
        private readonly RunningServer $server,
        private readonly BindAddress $bind,
    ) {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addOption('check', null, InputOption::VALUE_NONE, 'Compare with the running server instead of printing; exit code 1 if its rules differ')
            ->addOption('server', null, InputOption::VALUE_REQUIRED, 'The admin_bind of the server to check, instead of http://127.0.0.1 and the port after the server\'s own')
            ->setHelp(
                "  <info>bin/console orosync:topics:export > config/orosync-topics.toml</info>\n\n"
                . "Start the server with this file in addition to its own (<info>--config</info> may be repeated). On SIGHUP a running\n"
                . 'server reads both again without closing a session.',
            );
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $errors = $output instanceof ConsoleOutputInterface ? $output->getErrorOutput() : $output;
        try {
            $translation = $this->topics->translation();
            $origins = $this->topics->allowedOrigins();
            if ($input->getOption('check')) {
                return $this->check($translation, $origins, $input->getOption('server') ?? 'http://' . $this->bind->admin(), $output);
            }
        } catch (\Throwable $e) {
            $errors->writeln('<error>' . Printable::text($e->getMessage()) . '</error>');

            return Command::FAILURE;
        }
        $output->write(TopicsFile::toml($translation->rules, $translation->builtIn, $origins), false, OutputInterface::OUTPUT_RAW);
        foreach ($translation->findings as $finding) {
            $errors->writeln(OutputFormatter::escape($finding->where . ': ' . $finding->advice));
        }

        return Command::SUCCESS;
    }

    /** @param list<string>|null $origins */
    private function check(Translation $translation, ?array $origins, string $url, OutputInterface $output): int
    {
        $server = $this->server->rules($url);
        $differences = Differences::between($translation->rules, $origins, $server);
        foreach ($differences as $difference) {
            $output->writeln(Printable::line($difference));
        }
        if ([] !== $differences) {
            $output->writeln('Write the file again with orosync:topics:export, then send SIGHUP to the server.');

            return Command::FAILURE;
        }
        $output->writeln(sprintf(
            'The server has all %d topics%s of this application.',
            \count($translation->rules),
            null === $origins ? '' : ' and the origins',
        ));

        return Command::SUCCESS;
    }
}
