<?php

declare(strict_types=1);

namespace Orosync\Command;

use Orosync\Check\Inspection;
use Orosync\Check\Verdict;
use Orosync\Endpoint\BindAddress;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Routing\RequestContext;

/** Checks everything that live notifications need, and prints what to do about each problem. */
#[AsCommand(name: 'orosync:check', description: 'Check extension, server, secret, topics and addresses; exit code 1 if something does not work')]
final class CheckCommand extends Command
{
    use ReportsErrors;

    private const STYLES = [Verdict::OK => 'info', Verdict::WARNING => 'comment', Verdict::ERROR => 'error'];

    /** @param \Closure(): Inspection $inspection */
    public function __construct(
        private readonly \Closure $inspection,
        private readonly BindAddress $bind,
        private readonly ?RequestContext $context,
    ) {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addOption('server', null, InputOption::VALUE_REQUIRED, 'The server\'s admin_bind (default: http://127.0.0.1 and the port after the server\'s own)')
            ->addOption('page', null, InputOption::VALUE_REQUIRED, 'URL of one of your pages, such as https://crm.example.com/ (default: framework.router.default_uri)')
            ->setHelp('The command checks the PHP of the console. The web server\'s PHP has its own php.ini, which the profiler shows in the panel "Orosync".');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        return self::reportingErrors($output, fn (): int => $this->show(($this->inspection)()->verdicts(
            $input->getOption('server') ?? 'http://' . $this->bind->admin(),
            $input->getOption('page') ?? $this->page(),
        ), $output));
    }

    /** @param iterable<Verdict> $verdicts */
    private function show(iterable $verdicts, OutputInterface $output): int
    {
        $works = true;
        foreach ($verdicts as $verdict) {
            $works = $works && Verdict::ERROR !== $verdict->level;
            $style = self::STYLES[$verdict->level];
            $output->writeln(sprintf(
                '<%s>%s</>%s %-10s %s',
                $style,
                $verdict->level,
                str_repeat(' ', 7 - \strlen($verdict->level)),
                $verdict->subject,
                Printable::line($verdict->finding),
            ));
        }

        return $works ? Command::SUCCESS : Command::FAILURE;
    }

    /** The application's URL, as for links in mails. */
    private function page(): string
    {
        $context = $this->context ?? new RequestContext();
        [$port, $usual] = 'https' === $context->getScheme() ? [$context->getHttpsPort(), 443] : [$context->getHttpPort(), 80];

        return sprintf('%s://%s%s/', $context->getScheme(), $context->getHost(), $port === $usual ? '' : ':' . $port);
    }
}
