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
 * Prints the server's configuration of this application's topics, in Oro also of its origins, or compares it with a running server.
 *
 * The configuration goes to standard output, what needs a decision to standard error.
 */
#[AsCommand(
    name: 'orosync:topics:export',
    description: 'Print this application\'s topics (and in Oro its origins) for orosync-server, or check that the server has them',
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
            ->addOption('check', null, InputOption::VALUE_NONE, 'Print nothing, compare with the running server; 1: it has other rules')
            ->addOption('server', null, InputOption::VALUE_REQUIRED, 'The admin_bind of the server to check, instead of http://127.0.0.1 and the port after the server\'s own')
            ->setHelp(
                "  <info>bin/console orosync:topics:export > config/orosync-topics.toml</info>\n\n"
                . "Start the server with that file beside its own (<info>--config</info> may be repeated). A running server reads\n"
                . 'both again on SIGHUP, without closing a session.',
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
            $output->writeln('Write the file anew with orosync:topics:export, then send the server SIGHUP.');

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
