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

/** Says of each thing that live notifications need whether it is as it should be, and what to do where it is not. */
#[AsCommand(name: 'orosync:check', description: 'Check extension, server, secret, topics and addresses; 1: something does not work')]
final class CheckCommand extends Command
{
    use FailsWithItsMessage;

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
            ->addOption('server', null, InputOption::VALUE_REQUIRED, 'The admin_bind of the server, instead of http://127.0.0.1 and the port after the server\'s own')
            ->addOption('page', null, InputOption::VALUE_REQUIRED, 'The address of a page of yours, such as https://crm.example.com/, instead of framework.router.default_uri')
            ->setHelp('It looks from where the console runs. PHP of the web server has a php.ini of its own: what that one says is in the profiler, panel "Orosync".');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        return self::orItsMessage($output, fn (): int => $this->show(($this->inspection)()->verdicts(
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

    /** As links in mails have it. */
    private function page(): string
    {
        $context = $this->context ?? new RequestContext();
        [$port, $usual] = 'https' === $context->getScheme() ? [$context->getHttpsPort(), 443] : [$context->getHttpPort(), 80];

        return sprintf('%s://%s%s/', $context->getScheme(), $context->getHost(), $port === $usual ? '' : ':' . $port);
    }
}
