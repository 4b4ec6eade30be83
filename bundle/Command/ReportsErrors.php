<?php

declare(strict_types=1);

namespace Orosync\Command;

use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Output\ConsoleOutputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** Failure handling of the commands: prints the exception's message on standard error and returns 1. */
trait ReportsErrors
{
    /** @param \Closure(): int $work */
    private static function reportingErrors(OutputInterface $output, \Closure $work): int
    {
        try {
            return $work();
        } catch (\Throwable $e) {
            $errors = $output instanceof ConsoleOutputInterface ? $output->getErrorOutput() : $output;
            $errors->writeln('<error>' . Printable::text($e->getMessage()) . '</error>');

            return Command::FAILURE;
        }
    }
}
