<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Orosync\Publishing\PublisherInterface;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;

final class WiringTest extends ApplicationTestCase
{
    /** @dataProvider applications */
    #[DataProvider('applications')]
    public function testEveryServiceCanBeBuilt(array $with): void
    {
        $container = $this->boot([], [], $with);
        $services = array_filter($container->getServiceIds(), static fn (string $id): bool => str_starts_with(strtolower($id), 'orosync'));
        self::assertGreaterThan(10, \count($services));
        foreach ($services as $id) {
            self::assertIsObject($container->get($id), $id);
        }

        $application = new Application($this->kernel());
        $application->setAutoExit(false);
        $console = new ApplicationTester($application);
        self::assertSame(0, $console->run(['command' => 'lint:container']), $console->getDisplay());
    }

    public static function applications(): iterable
    {
        yield 'the framework alone' => [['publisher', 'tickets']];
        yield 'with security' => [['security', 'publisher', 'tickets']];
        yield 'with Twig' => [['twig', 'publisher', 'tickets']];
        yield 'with Doctrine' => [['doctrine', 'publisher', 'tickets']];
        yield 'with all of them' => [['security', 'twig', 'doctrine', 'publisher', 'tickets']];
        yield 'with services of its own' => [['security', 'twig', 'doctrine', 'own claims', 'own tags']];
    }

    public function testAnApplicationMayReplaceThePublisherInItsTests(): void
    {
        self::assertInstanceOf(RecordingPublisher::class, $this->boot()->get(PublisherInterface::class));
    }

    public function testTheServerCommandHasTheNamesOfTheFormerServersCommands(): void
    {
        $this->boot([], [], []);
        $application = new Application($this->kernel());

        foreach (['orosync:server', 'clank:server', 'gos:websocket:server'] as $name) {
            self::assertSame('orosync:server', $application->find($name)->getName());
        }
    }

    public function testTheBundleDeclaresNoClassOfTheExtension(): void
    {
        $files = new \RegexIterator(new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator(\dirname(__DIR__, 2) . '/bundle')), '/\.php$/');
        $naming = [];
        foreach ($files as $file) {
            $code = file_get_contents((string) $file);
            self::assertDoesNotMatchRegularExpression('/namespace Orosync\\\\Exception\b/', $code, (string) $file);
            if (preg_match('/Orosync\\\\(Exception\\\\|Publisher\b)|\borosync_[a-z]+\(/', preg_replace('/orosync_client_config/', '', $code))) {
                $naming[] = basename((string) $file);
            }
        }

        self::assertSame(['ExtensionPublisher.php'], $naming);
    }
}
