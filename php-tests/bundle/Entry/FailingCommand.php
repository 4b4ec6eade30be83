<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Symfony\Component\Console\Tester\ApplicationTester;

/** Helpers for tests of failing commands. */
trait FailingCommand
{
    /** @param array<string, string> $input */
    private static function assertEndsWithItsMessage(ApplicationTester $console, array $input): void
    {
        // A kernel in debug mode raises the verbosity for the whole process, and a verbose console prints traces.
        putenv('SHELL_VERBOSITY');
        unset($_ENV['SHELL_VERBOSITY'], $_SERVER['SHELL_VERBOSITY']);
        $console->run($input, ['capture_stderr_separately' => true]);
        $output = $console->getDisplay() . $console->getErrorOutput();

        self::assertSame(1, $console->getStatusCode(), $output);
        self::assertMatchesRegularExpression('~it is broken|is not an executable file|Check that the server is running~', $output);
        self::assertDoesNotMatchRegularExpression('~#0|Exception trace~', $output);
    }
}
