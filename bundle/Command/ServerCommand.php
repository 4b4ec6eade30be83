<?php

declare(strict_types=1);

namespace Orosync\Command;

use Orosync\Endpoint\BindAddress;
use Orosync\Publishing\SharedSecret;
use Orosync\Topic\DeclaredTopics;
use Orosync\Topic\TopicsFile;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\ConsoleOutputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\HttpKernel\Kernel;

/** Runs the native server with this application's address and secret. Its aliases are the commands that it replaces. */
#[AsCommand(
    name: 'orosync:server',
    description: 'Run the websocket server',
    aliases: ['clank:server', 'gos:websocket:server'],
)]
final class ServerCommand extends Command
{
    /** Exit code of Oro's command when its server is switched off, so that a supervisor can tell this from a failure. */
    private const EXIT_SWITCHED_OFF = 113;

    /**
     * @param string      $topicsFile the file that passes this application's topics to the server
     * @param string|null $configFile the server's own TOML file
     */
    public function __construct(
        private readonly BindAddress $bind,
        private readonly SharedSecret $secret,
        private readonly ServerBinary $binary,
        private readonly ServerProcess $process,
        private readonly DeclaredTopics $topics,
        private readonly string $topicsFile,
        private readonly ?string $configFile,
    ) {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addArgument('name', InputArgument::OPTIONAL, 'Ignored; for compatibility with gos:websocket:server')
            ->addOption('host', 'a', InputOption::VALUE_REQUIRED, 'Listen on this address instead of the configured one')
            ->addOption('port', 'p', InputOption::VALUE_REQUIRED, 'Listen on this port instead of the configured one');
        // Since Symfony 6.4 every command has this option.
        if (Kernel::VERSION_ID < 60400) {
            $this->addOption('profile', 'm', InputOption::VALUE_NONE, 'Ignored; for compatibility with gos:websocket:server');
        }
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        try {
            return $this->serve($input, $output);
        } catch (\Throwable $e) {
            $errors = $output instanceof ConsoleOutputInterface ? $output->getErrorOutput() : $output;
            $errors->writeln('<error>' . OutputFormatter::escape($e->getMessage()) . '</error>');

            return Command::FAILURE;
        }
    }

    private function serve(InputInterface $input, OutputInterface $output): int
    {
        [$host, $port] = [$input->getOption('host'), $input->getOption('port')];
        $address = $this->bind->resolve($host, $port);
        if (null === $address) {
            $output->writeln('The websocket server is switched off: its address is empty in the configuration.');

            return self::EXIT_SWITCHED_OFF;
        }
        $binary = $this->binary->path();
        $environment = $this->secret->forServer() + self::logLevel($output);
        $arguments = ['serve'];
        if (null !== $this->configFile) {
            array_push($arguments, '--config', $this->configFile);
        }
        $rules = $this->topics->rules();
        if ([] !== $rules) {
            $this->refuseTopicsOfTheFile();
            (new Filesystem())->dumpFile($this->topicsFile, TopicsFile::toml($rules, [], null));
            array_push($arguments, '--config', $this->topicsFile);
        }
        if ($this->bind->isConfigured() || null !== $host || null !== $port) {
            array_push($arguments, '--bind', $address);
        } else {
            $address = 'the addresses of ' . $this->configFile;
        }
        $this->greet($input, $output, $address);

        return $this->process->run($binary, $arguments, $environment);
    }

    /** A list in a later file replaces the one in an earlier file, so the topics of the server's own file would be lost. */
    private function refuseTopicsOfTheFile(): void
    {
        $content = null === $this->configFile ? '' : (string) @file_get_contents($this->configFile);
        if (1 === preg_match('/^\s*(\[\[\s*"?topics"?\s*\]\]|topics\s*=)/m', $content)) {
            throw new \RuntimeException(sprintf(
                'Topics are declared both in orosync.topics and in %s; the server would ignore the latter. Move them to orosync.topics.',
                $this->configFile,
            ));
        }
    }

    /** @return array<string, string> empty without an option: the server's own configuration applies */
    private static function logLevel(OutputInterface $output): array
    {
        $level = match (true) {
            $output->isQuiet() => 'error',
            $output->isDebug() => 'trace',
            $output->isVerbose() => 'debug',
            default => null,
        };

        return null === $level ? [] : ['OROSYNC_LOG__LEVEL' => $level];
    }

    /** Prints the lines that scripts for the old servers wait for. */
    private function greet(InputInterface $input, OutputInterface $output, string $where): void
    {
        $lines = str_starts_with((string) $input->getFirstArgument(), 'clank')
            ? ['Starting Clank', 'Launching Ratchet WS Server on: ' . $where]
            : ['Starting Orosync', sprintf('Launching Orosync server on %s PID: %d', $where, getmypid())];
        $output->writeln($lines);
    }
}
