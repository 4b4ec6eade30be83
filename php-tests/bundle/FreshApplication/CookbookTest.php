<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Process\Process;

/**
 * The recipes of docs/recipes.md, executed literally in new applications.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class CookbookTest extends TestCase
{
    /** @var list<Process> */
    private array $running = [];

    protected function tearDown(): void
    {
        foreach ($this->running as $process) {
            $process->stop();
        }
    }

    public function testTwoProjectsDoNotReceiveEachOthersMessages(): void
    {
        [$first, $second] = Project::freePorts(2);
        $recipe = (new Example('docs/recipes.md', 'Two projects on one machine'))->file('config/packages/orosync.yaml');
        $browsers = [];
        $projects = [];
        foreach ([$first => 'one', $second => 'two'] as $port => $secret) {
            $project = self::project(str_replace('8090', (string) $port, $recipe))
                ->write('config/packages/secret.yaml', "framework: {secret: '$secret'}\n");
            $this->running[] = $project->startServer();
            $browsers[] = new WampClient("ws://127.0.0.1:$port/ws");
            end($browsers)->subscribe('oro/maintenance');
            $projects[] = $project;
        }
        $projects[0]->console(['orosync:maintenance', 'on'])->mustRun();
        $projects[1]->console(['orosync:maintenance', 'on'])->mustRun();
        $projects[1]->console(['orosync:maintenance', 'off'])->mustRun();

        self::assertTrue($browsers[0]->next()[1]['isOn']);
        self::assertTrue($browsers[1]->next()[1]['isOn']);
        self::assertFalse($browsers[1]->next()[1]['isOn'], 'no message of the first project');
    }

    public function testTheBundleUsesTheYamlSettingsInsteadOfPhpIni(): void
    {
        [$port] = Project::freePorts(1);
        $project = self::project("orosync:\n    backend: '//*:$port'\n    server: {bind: '//127.0.0.1:$port'}\n");
        $this->running[] = $project->startServer();
        $browser = new WampClient("ws://127.0.0.1:$port/ws");
        $browser->subscribe('oro/maintenance');

        $other = ['-d', 'orosync.endpoint=ws://127.0.0.1:9/', '-d', 'orosync.secret=' . str_repeat('another secret ', 3)];
        $project->php([...$other, 'bin/console', 'orosync:maintenance', 'on'])->mustRun();

        self::assertSame(['oro/maintenance', ['isOn' => true, 'userId' => null]], $browser->next());
    }

    public function testTheServerCommandUsesTheSecretOfTheYamlInsteadOfTheEnvironment(): void
    {
        [$port] = Project::freePorts(1);
        $project = self::project("orosync:\n    backend: '//*:$port'\n    server: {bind: '//127.0.0.1:$port'}\n");
        $this->running[] = $project->startServer(['OROSYNC_AUTH__SECRET' => str_repeat('another secret ', 3), 'OROSYNC_BIND' => '127.0.0.1:1']);
        $browser = new WampClient("ws://127.0.0.1:$port/ws");
        $browser->subscribe('oro/maintenance');

        $project->console(['orosync:maintenance', 'on'])->mustRun();

        self::assertTrue($browser->next()[1]['isOn']);
    }

    public function testTheBackendMayBeADockerServiceName(): void
    {
        $project = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', (new Example('docs/recipes.md', 'Docker'))->file('config/packages/orosync.yaml'))
            ->write('config/packages/seen.yaml', <<<'YAML'
                services:
                    seen.backend: {alias: orosync.backend_endpoint, public: true}
                    seen.secret: {alias: orosync.shared_secret, public: true}
                YAML);
        $kernel = $project->boot('prod');

        self::assertSame('ws://orosync:8080/', $kernel->getContainer()->get('seen.backend')->resolve());
        self::assertSame(['secret_file' => '/run/secrets/orosync'], $kernel->getContainer()->get('seen.secret')->forPublisher());
        $kernel->shutdown();
    }

    public function testAnApplicationTestCanAssertPublishedMessages(): void
    {
        $recipe = new Example('docs/symfony.md', 'In the tests of the application');
        $topics = new Example('docs/symfony.md', 'A topic of your own');
        $project = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', $recipe->file('config/packages/orosync.yaml'))
            ->write('config/packages/topics.yaml', $topics->file('config/packages/orosync.yaml'))
            ->write('tests/ShippingTest.php', $recipe->phpClass('ShippingTest'))
            ->write('tests/bootstrap.php', <<<'PHP'
                <?php

                require getenv('OROSYNC_TEST_BOOTSTRAP');
                spl_autoload_register(static function (string $class): void {
                    if (str_starts_with($class, 'App\\')) {
                        require dirname(__DIR__) . '/src/' . strtr(substr($class, 4), '\\', '/') . '.php';
                    }
                });

                PHP)
            ->write('src/Kernel.php', <<<'PHP'
                <?php

                namespace App;

                use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;

                final class Kernel extends \Symfony\Component\HttpKernel\Kernel
                {
                    use MicroKernelTrait;

                    public function getProjectDir(): string
                    {
                        return dirname(__DIR__);
                    }
                }

                PHP)
            ->write('src/Controller/ShipController.php', <<<'PHP'
                <?php

                namespace App\Controller;

                use Orosync\Publishing\PublisherInterface;
                use Symfony\Component\HttpFoundation\Response;

                final class ShipController
                {
                    public function __invoke(int $order, PublisherInterface $publisher): Response
                    {
                        $publisher->publish('acme/orders/7', ['shipped' => $order]);

                        return new Response();
                    }
                }

                PHP)
            ->write('config/routes/ship.yaml', "ship:\n    path: /orders/{order}/ship\n    controller: App\\Controller\\ShipController\n");

        $phpunit = [$_SERVER['argv'][0], '--no-configuration', '--bootstrap', 'tests/bootstrap.php', 'tests/ShippingTest.php'];
        $passed = $project->php($phpunit, ['KERNEL_CLASS' => 'App\Kernel', 'APP_ENV' => 'test']);
        $passed->run();

        self::assertStringContainsString('OK (1 test, ', $passed->getOutput(), $passed->getOutput() . $passed->getErrorOutput());
    }

    private static function project(string $settings): Project
    {
        return (new Project())->withBundle()
            ->write('config/routes/orosync.yaml', "orosync:\n    resource: '@OrosyncLiveBundle/config/routes.php'\n")
            ->write('config/packages/orosync.yaml', $settings)
            ->write('config/packages/binary.yaml', sprintf("orosync: {server: {binary: '%s'}}\n", Project::serverBinary()));
    }
}
