<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\Tests\Wait;
use PHPUnit\Framework\Assert;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\Process\ExecutableFinder;
use Symfony\Component\Process\Process;

/**
 * A MariaDB or PostgreSQL server for a test: an empty database in a new directory, reached by a Unix socket in it, without a
 * network port. {@see stop()} ends it and removes the directory.
 */
final class DatabaseServer
{
    private function __construct(
        private readonly string $directory,
        private readonly Process $process,
        private readonly int $stopSignal,
        /** @var array<string, mixed> for Doctrine's DriverManager */
        public readonly array $parameters,
    ) {
    }

    public static function mariaDb(): self
    {
        $install = self::executable('mariadb-install-db');
        $server = self::executable('mariadbd');
        $directory = self::directory();
        $options = ['--no-defaults', '--datadir=' . $directory . '/data', ...self::isRoot() ? ['--user=root'] : []];
        (new Process([$install, ...$options, '--auth-root-authentication-method=normal', '--skip-test-db'], $directory, null, null, 120))->mustRun();
        $socket = $directory . '/socket';
        $process = new Process([$server, ...$options, '--skip-networking', '--socket=' . $socket, '--innodb-flush-log-at-trx-commit=0'], $directory, null, null, null);
        $process->start();
        $parameters = ['driver' => 'pdo_mysql', 'unix_socket' => $socket, 'user' => 'root', 'dbname' => 'test'];
        $database = null;
        Wait::until(static function () use ($socket, &$database): bool {
            try {
                $database = new \PDO('mysql:unix_socket=' . $socket, 'root');
            } catch (\PDOException) {
                return false;
            }

            return true;
        }, static fn (): string => $process->getErrorOutput());
        $database->exec('CREATE DATABASE test');

        return new self($directory, $process, \SIGTERM, $parameters);
    }

    public static function postgreSql(): self
    {
        $versions = glob('/usr/lib/postgresql/*/bin') ?: [];
        $install = self::executable('initdb', $versions);
        $server = self::executable('postgres', $versions);
        $directory = self::directory();
        // PostgreSQL refuses to run as root.
        $as = [];
        if (self::isRoot()) {
            chown($directory, 'postgres');
            $as = [self::executable('setpriv'), '--reuid=postgres', '--regid=postgres', '--clear-groups'];
        }
        (new Process([...$as, $install, '--pgdata=' . $directory . '/data', '--username=test', '--auth=trust', '--no-sync'], $directory, null, null, 120))->mustRun();
        $process = new Process([...$as, $server, '-D', $directory . '/data', '-k', $directory, '-h', '', '-F'], $directory, null, null, null);
        $process->start();
        $parameters = ['driver' => 'pdo_pgsql', 'host' => $directory, 'user' => 'test', 'dbname' => 'postgres'];
        Wait::until(static function () use ($directory): bool {
            try {
                new \PDO(sprintf('pgsql:host=%s;dbname=postgres', $directory), 'test');
            } catch (\PDOException) {
                return false;
            }

            return true;
        }, static fn (): string => $process->getErrorOutput());

        return new self($directory, $process, \SIGQUIT, $parameters);
    }

    public function stop(): void
    {
        $this->process->signal($this->stopSignal);
        $this->process->wait();
        (new Filesystem())->remove($this->directory);
    }

    /** The path of a socket is limited to 107 characters; the directory of the tests may be longer. */
    private static function directory(): string
    {
        $directory = sys_get_temp_dir() . '/orosync-db-' . bin2hex(random_bytes(4));
        mkdir($directory, 0700);

        return $directory;
    }

    /** @param list<string> $directories */
    private static function executable(string $name, array $directories = []): string
    {
        $path = (new ExecutableFinder())->find($name, null, [...$directories, '/usr/sbin', '/sbin']);
        if (null === $path) {
            $message = sprintf('"%s" is not there. Install it: scripts/install-deps test', $name);
            '1' === getenv('OROSYNC_EXTENSION_REQUIRED') ? Assert::fail($message) : Assert::markTestSkipped($message);
        }

        return $path;
    }

    private static function isRoot(): bool
    {
        return 0 === posix_geteuid();
    }
}
