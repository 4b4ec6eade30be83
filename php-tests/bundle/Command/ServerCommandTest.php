<?php

declare(strict_types=1);

namespace Orosync\Tests\Command;

use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Process\PhpExecutableFinder;
use Symfony\Component\Process\Process;

/** The command as a process under a supervisor: start, signals and exit code. */
final class ServerCommandTest extends TestCase
{
    /** A server that prints its arguments and environment, waits for a signal, prints its name and exits with 7. */
    private const SERVER = <<<'SH'
        #!/bin/sh
        for signal in INT TERM HUP; do trap "echo got $signal; exit 7" $signal; done
        echo "pid $$"
        echo "arguments $*"
        env | grep ^OROSYNC_ | sort
        echo ready
        while :; do sleep 0.05; done
        SH;

    private string $directory;
    private string $binary;

    protected function setUp(): void
    {
        $this->directory = getenv('BUNDLE_TEST_DIRECTORY') . '/server-' . bin2hex(random_bytes(4));
        mkdir($this->directory);
        $this->binary = $this->directory . '/orosync-server';
        file_put_contents($this->binary, self::SERVER);
        chmod($this->binary, 0o755);
    }

    public function testTheServerGetsAddressSecretAndFile(): void
    {
        $output = $this->runUntilReady(['orosync:server'], ['server' => ['bind' => '//127.0.0.1:9000', 'config' => '/etc/orosync.toml', 'binary' => $this->binary]]);

        self::assertStringContainsString("arguments serve --config /etc/orosync.toml --bind 127.0.0.1:9000\n", $output);
        self::assertStringContainsString('OROSYNC_AUTH__SECRET=' . hash('sha256', "orosync:the application's own secret") . "\n", $output);
        self::assertStringNotContainsString('OROSYNC_LOG__LEVEL', $output);
    }

    public function testTheServerGetsTheSecretFileAndNotTheSecretOfTheShell(): void
    {
        $output = $this->runUntilReady(['orosync:server'], ['secret_file' => '/etc/orosync/secret'], ['OROSYNC_AUTH__SECRET' => 'of the shell']);

        self::assertStringContainsString("OROSYNC_AUTH__SECRET_FILE=/etc/orosync/secret\n", $output);
        self::assertStringContainsString("OROSYNC_AUTH__SECRET=\n", $output);
    }

    public function testTheListenAddressOfTheServersOwnFileHasPrecedence(): void
    {
        $output = $this->runUntilReady(['orosync:server'], ['server' => ['config' => '/etc/orosync.toml']]);

        self::assertStringContainsString("arguments serve --config /etc/orosync.toml\n", $output);
        self::assertStringContainsString('Launching Orosync server on the addresses of /etc/orosync.toml PID: ', $output);
    }

    public function testTheServerGetsTheDeclaredTopics(): void
    {
        $output = $this->runUntilReady(['orosync:server'], ['topics' => ['acme/orders/{uid:int}' => 'owner']]);

        self::assertSame(1, preg_match('~^arguments serve --config (\S+/orosync/topics\.toml) --bind ~m', $output, $file));
        self::assertStringContainsString(
            "\n[[topics]]\npattern = \"acme/orders/{uid:int}\"\nsubscribe = \"owner\"\npublish = \"publisher\"\n",
            file_get_contents($file[1]),
        );
    }

    public function testTopicsOfTheServersOwnFileAreKept(): void
    {
        file_put_contents($this->directory . '/own.toml', "shards = 1\n\n[[topics]]\npattern = \"acme/x\"\nsubscribe = \"user\"\n");
        $command = $this->start(['orosync:server'], [
            'topics' => ['acme/orders/{uid:int}' => 'owner'],
            'server' => ['config' => $this->directory . '/own.toml', 'binary' => $this->binary],
        ]);
        $command->wait();

        self::assertSame(1, $command->getExitCode());
        self::assertStringContainsString('Topics are declared both in orosync.topics and in ' . $this->directory . '/own.toml', $command->getErrorOutput());
    }

    public function testTheCommandLineOverridesTheConfiguration(): void
    {
        $output = $this->runUntilReady(['gos:websocket:server', 'default', '--profile', '-a', '127.0.0.1', '--port', '9001'], ['server' => ['bind' => '//0.0.0.0:9000']]);

        self::assertStringContainsString("arguments serve --bind 127.0.0.1:9001\n", $output);
    }

    /** @dataProvider names */
    #[DataProvider('names')]
    public function testTheOutputStartsWithTheLinesOfTheFormerServers(string $name, string $lines): void
    {
        self::assertStringMatchesFormat($lines . "\npid %d\n%a", $this->runUntilReady([$name], []));
    }

    public static function names(): iterable
    {
        yield ['clank:server', "Starting Clank\nLaunching Ratchet WS Server on: 0.0.0.0:8080"];
        yield ['gos:websocket:server', "Starting Orosync\nLaunching Orosync server on 0.0.0.0:8080 PID: %d"];
        yield ['orosync:server', "Starting Orosync\nLaunching Orosync server on 0.0.0.0:8080 PID: %d"];
    }

    /** @dataProvider verbosities */
    #[DataProvider('verbosities')]
    public function testVerbositySetsTheServersLogLevel(string $option, string $level): void
    {
        self::assertStringContainsString("OROSYNC_LOG__LEVEL=$level\n", $this->runUntilReady(['orosync:server', $option], []));
    }

    public static function verbosities(): iterable
    {
        yield ['-q', 'error'];
        yield ['-v', 'debug'];
        yield ['-vvv', 'trace'];
    }

    /** @dataProvider signals */
    #[DataProvider('signals')]
    public function testSignalsReachTheServerAndItsExitCodeReachesTheSupervisor(int $signal, string $name): void
    {
        $command = $this->start(['orosync:server'], []);
        self::waitForReady($command);
        // The command has replaced itself by the server.
        self::assertStringContainsString('pid ' . $command->getPid() . "\n", $command->getOutput());
        $command->signal($signal);
        $command->wait();

        self::assertStringEndsWith("got $name\n", $command->getOutput());
        self::assertSame(7, $command->getExitCode());
    }

    public static function signals(): iterable
    {
        yield [\SIGINT, 'INT'];
        yield [\SIGTERM, 'TERM'];
        yield [\SIGHUP, 'HUP'];
    }

    /** @dataProvider signals */
    #[DataProvider('signals')]
    public function testWithoutPcntlExecSignalsAreForwarded(int $signal, string $name): void
    {
        $command = $this->start(['orosync:server'], [], [], ['-d', 'disable_functions=pcntl_exec']);
        self::waitForReady($command);
        self::assertStringNotContainsString('pid ' . $command->getPid() . "\n", $command->getOutput());
        $command->signal($signal);
        $command->wait();

        self::assertStringEndsWith("got $name\n", $command->getOutput());
        self::assertSame(7, $command->getExitCode());
    }

    public function testAnEmptyAddressExitsWith113(): void
    {
        foreach ([[['server' => ['bind' => '']], []], [[], ['websocket_server_dsn' => '']], [[], ['websocket_bind_address' => '']]] as [$orosync, $parameters]) {
            $command = $this->start(['gos:websocket:server'], $orosync, [], [], $parameters);
            $command->wait();

            self::assertSame("The websocket server is switched off: its address is empty in the configuration.\n", $command->getOutput());
            self::assertSame(113, $command->getExitCode());
        }
    }

    public function testTheBinaryIsFoundInThePath(): void
    {
        $output = $this->runUntilReady(['orosync:server'], ['server' => ['binary' => null]], ['PATH' => $this->directory . ':' . getenv('PATH')]);

        self::assertStringContainsString('arguments serve', $output);
    }

    public function testAMissingBinaryIsReportedWithTheSearchedPlacesAndARemedy(): void
    {
        $command = $this->start(['orosync:server'], ['server' => ['binary' => 'orosync-server-of-nobody']]);
        $command->wait();

        self::assertSame(1, $command->getExitCode());
        self::assertSame('', $command->getOutput());
        self::assertMatchesRegularExpression('~"orosync-server-of-nobody" is neither in PATH nor in .*/vendor/bin, .*/target/release\. Install~', $command->getErrorOutput());
    }

    public function testAWrongPathAnInvalidPortAndAFileThatCannotRunAreReported(): void
    {
        file_put_contents($this->directory . '/broken', 'no program');
        chmod($this->directory . '/broken', 0o755);
        foreach (
            [
            [['orosync:server'], '/nobody/has/this', 'orosync.server.binary: "/nobody/has/this" is not an executable file.'],
            [['orosync:server', '-p', 'http'], $this->binary, '--host, --port: "http" is not a port.'],
            [['orosync:server'], $this->directory . '/broken', 'Cannot start "' . $this->directory . '/broken": Exec format error.'],
            ] as [$arguments, $binary, $message]
        ) {
            $command = $this->start($arguments, ['server' => ['binary' => $binary]]);
            $command->wait();

            self::assertSame(1, $command->getExitCode());
            self::assertStringContainsString($message, $command->getErrorOutput());
        }
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, mixed>  $orosync
     * @param array<string, string> $environment
     *
     * @return string what it has printed until its server was ready
     */
    private function runUntilReady(array $arguments, array $orosync, array $environment = []): string
    {
        $command = $this->start($arguments, $orosync, $environment);
        try {
            return self::waitForReady($command);
        } finally {
            $command->stop();
        }
    }

    private static function waitForReady(Process $command): string
    {
        Wait::until(
            static fn (): bool => str_contains($command->getOutput(), "ready\n"),
            static fn (): string => $command->getOutput() . $command->getErrorOutput(),
        );

        return $command->getOutput();
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, mixed>  $orosync
     * @param array<string, string> $environment
     * @param list<string>          $php
     * @param array<string, mixed>  $parameters
     */
    private function start(array $arguments, array $orosync, array $environment = [], array $php = [], array $parameters = []): Process
    {
        $orosync = array_replace_recursive(['server' => ['binary' => $this->binary]], $orosync);
        $command = new Process(
            [(new PhpExecutableFinder())->find(false), ...$php, \dirname(__DIR__) . '/Application/console.php', ...$arguments],
            null,
            $environment + [
                'OROSYNC_TEST_KERNEL' => json_encode([$orosync, $parameters, []], \JSON_THROW_ON_ERROR),
                'BUNDLE_TEST_DIRECTORY' => getenv('BUNDLE_TEST_DIRECTORY'),
                // Set by the kernels of other tests.
                'SHELL_VERBOSITY' => false,
            ],
            null,
            20,
        );
        $command->start();

        return $command;
    }
}
