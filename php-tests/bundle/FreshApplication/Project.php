<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Orosync\Tests\Wait;
use PHPUnit\Framework\Assert;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\Process\PhpExecutableFinder;
use Symfony\Component\Process\Process;

/**
 * The directory of a new application (framework and Twig, a page at /), in which a test works like a user. Removed with the
 * other files of the tests.
 */
final class Project
{
    public readonly string $directory;

    public function __construct()
    {
        $this->directory = getenv('BUNDLE_TEST_DIRECTORY') . '/project-' . bin2hex(random_bytes(4));
        (new Filesystem())->mirror(__DIR__ . '/skeleton', $this->directory);
    }

    /** Adds the bundle as Flex would. */
    public function withBundle(string ...$others): self
    {
        return $this->withBundles(\Orosync\OrosyncBundle::class, ...$others);
    }

    public function withBundles(string ...$bundles): self
    {
        $lines = array_map(static fn (string $bundle): string => "    $bundle::class => ['all' => true],\n", $bundles);
        $file = $this->directory . '/config/bundles.php';

        return $this->write('config/bundles.php', str_replace('];', implode('', $lines) . '];', file_get_contents($file)));
    }

    /** Adds Doctrine with an empty database, with the services of DoctrineBundle. */
    public function withDoctrine(): self
    {
        // Symfony 5.4 expects YAML there.
        return $this->write('config/packages/doctrine.yaml', "imports: [{resource: ../doctrine.php}]\n")->write('config/doctrine.php', <<<'PHP'
            <?php

            use Orosync\Tests\Application\ConnectionFactory;
            use Orosync\Tests\Application\Doctrine;
            use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

            return static function (ContainerConfigurator $container): void {
                $container->parameters()->set('doctrine.dbal.connection_factory.class', ConnectionFactory::class);
                Doctrine::configure($container->services(), ['default' => []]);
            };

            PHP);
    }

    /** Adds in-memory users, who log in by HTTP Basic with the password `demo`. */
    public function withUsers(string ...$names): self
    {
        $manager = Kernel::VERSION_ID < 60200 ? "    enable_authenticator_manager: true\n" : '';
        $users = implode(', ', array_map(static fn (string $name): string => "$name: {password: demo, roles: [ROLE_USER]}", $names));

        return $this->withBundles(SecurityBundle::class)->write('config/packages/security.yaml', "security:\n" . $manager . <<<YAML
                password_hashers: {Symfony\Component\Security\Core\User\InMemoryUser: plaintext}
                providers: {people: {memory: {users: {{$users}}}}}
                firewalls: {main: {http_basic: ~}}

            YAML);
    }

    public function write(string $path, string $content): self
    {
        (new Filesystem())->dumpFile($this->directory . '/' . $path, $content);

        return $this;
    }

    /**
     * Free ports. They are held until the last one is chosen.
     *
     * @return list<int>
     */
    public static function freePorts(int $count): array
    {
        $sockets = array_map(static fn () => stream_socket_server('tcp://127.0.0.1:0'), range(1, $count));

        return array_map(static fn ($socket): int => (int) substr(strrchr(stream_socket_get_name($socket, false), ':'), 1), $sockets);
    }

    /** The native server; skips the test if it is missing. */
    public static function serverBinary(): string
    {
        $binary = getenv('OROSYNC_SERVER') ?: \dirname(__DIR__, 3) . '/target/release/orosync-server';
        if (!is_executable($binary)) {
            $message = sprintf('"%s" is not there. Build it with "cargo build --release", or set OROSYNC_SERVER to its path.', $binary);
            '1' === getenv('OROSYNC_EXTENSION_REQUIRED') ? Assert::fail($message) : Assert::markTestSkipped($message);
        }

        return $binary;
    }

    /** Starts `bin/console orosync:server` and waits until it is ready. The caller stops it. */
    public function startServer(array $environment = []): Process
    {
        $server = $this->console(['orosync:server'], $environment);
        $server->start();
        Wait::until(
            static fn (): bool => str_contains($server->getErrorOutput(), 'is ready'),
            static fn (): string => $server->getOutput() . $server->getErrorOutput(),
        );

        return $server;
    }

    public function boot(string $environment): Kernel
    {
        $kernel = new Kernel($this->directory, $environment);
        $kernel->boot();

        return $kernel;
    }

    /**
     * @param list<string>                $arguments
     * @param array<string, string|false> $environment
     */
    public function console(array $arguments, array $environment = []): Process
    {
        return $this->php(['bin/console', ...$arguments], $environment);
    }

    /**
     * Runs PHP in this directory, with the extension if available.
     *
     * @param list<string>                $arguments
     * @param array<string, string|false> $environment
     */
    public function php(array $arguments, array $environment = []): Process
    {
        $php = (new PhpExecutableFinder())->find(false);

        return new Process([$php, ...self::extension($php), ...$arguments], $this->directory, $environment + [
            'OROSYNC_TEST_BOOTSTRAP' => \dirname(__DIR__) . '/bootstrap.php',
            'BUNDLE_TEST_DIRECTORY' => getenv('BUNDLE_TEST_DIRECTORY'),
            // A free port, because several servers may run on this machine.
            'OROSYNC_ADMIN_BIND' => '127.0.0.1:0',
            'SHELL_VERBOSITY' => false,
        ], null, 120);
    }

    /** @return list<string> what makes a PHP that we start load the extension, if its own settings do not */
    private static function extension(string $php): array
    {
        if (!\extension_loaded('orosync')) {
            return [];
        }
        if (0 === (new Process([$php, '-r', 'exit(extension_loaded("orosync") ? 0 : 1);']))->run()) {
            return [];
        }
        preg_match('~/\S*orosync\S*\.so\b~', file_get_contents('/proc/self/maps'), $library);

        return ['-d', 'extension=' . $library[0]];
    }
}
