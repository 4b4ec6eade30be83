<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Orosync\OrosyncBundle;
use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Filesystem\Filesystem;

/** packaging/recipe/, applied like Symfony Flex does. */
final class RecipeTest extends TestCase
{
    private const RECIPE = __DIR__ . '/../../../packaging/recipe';

    private ?Kernel $kernel = null;

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
    }

    public function testTheManifestContainsOnlyKeysThatFlexSupports(): void
    {
        $manifest = self::manifest();

        self::assertSame(['bundles', 'copy-from-recipe', 'env'], array_keys($manifest));
        self::assertSame([OrosyncBundle::class => ['all']], $manifest['bundles']);
        self::assertSame(['config/' => '%CONFIG_DIR%/'], $manifest['copy-from-recipe']);
    }

    public function testTestsOpenNoConnection(): void
    {
        self::assertInstanceOf(InMemoryPublisher::class, $this->boot('test')->get('seen.publisher'));
    }

    public function testOutsideOfTestsThePublisherIsTheRealOne(): void
    {
        self::assertNotInstanceOf(InMemoryPublisher::class, $this->boot('prod')->get('seen.publisher'));
    }

    public function testTheRecipeAddsTheTicketRoute(): void
    {
        self::assertSame('/sync/ticket', $this->boot('dev')->get('router')->generate('oro_sync_ticket'));
    }

    public function testTheRecipeSetsTheVariablesOfItsConfiguration(): void
    {
        $variables = array_filter(array_keys(self::manifest()['env']), static fn (string $name): bool => !str_starts_with($name, '#'));
        preg_match_all('/%env\((\w+)\)%/', file_get_contents(self::RECIPE . '/config/packages/orosync.yaml'), $read);

        self::assertSame($read[1], array_values($variables));
    }

    public function testTheConsoleShowsTheRecipesConfiguration(): void
    {
        $this->boot('dev');
        $shown = $this->console(['command' => 'debug:config', 'name' => 'orosync']);

        foreach (["backend: '%env(SYNC_BACKEND)%'", "frontend: '%env(SYNC_FRONTEND)%'", 'test: null', 'ttl: 300', "topic: 'orosync/notifications/{uid}'"] as $line) {
            self::assertStringContainsString($line, $shown);
        }
        self::assertStringContainsString('# Seconds until an unused ticket expires.', $this->console(['command' => 'config:dump-reference', 'name' => 'orosync']));
    }

    public function testTheMonologConfigurationMatchesTheDocumentation(): void
    {
        $recipe = file_get_contents(self::RECIPE . '/config/packages/orosync.yaml');
        self::assertSame(1, preg_match('~^#when@prod:\n(?:#    .+\n)+~m', $recipe, $commented));
        $lines = preg_replace('~^#~m', '', $commented[0]);
        self::assertStringContainsString($lines, file_get_contents(\dirname(self::RECIPE, 2) . '/docs/symfony.md'));
        $project = (new Project())->withBundle(MonologStandIn::class)->write('config/packages/orosync.yaml', $lines);
        $this->kernel = $project->boot('prod');

        self::assertSame(
            ['orosync' => ['type' => 'stream', 'path' => $project->directory . '/var/log/prod.log', 'level' => 'notice', 'channels' => ['orosync'], 'priority' => 10, 'bubble' => false]],
            $this->kernel->getContainer()->getParameter('monolog.handlers'),
        );
    }

    public function testTheRecipesNotesReferToStepsOfTheReadme(): void
    {
        $notes = file_get_contents(self::RECIPE . '/post-install.txt');
        $readme = file_get_contents(\dirname(__DIR__, 3) . '/README.md');

        self::assertSame(1, preg_match('/"(In an [^"]+)"/', $notes, $section));
        self::assertStringContainsString("\n## $section[1]\n", $readme);
        foreach (['**1. Install.**', '**3. Add one line to the page.**', '**4. Start the server.**'] as $step) {
            self::assertStringContainsString("\n$step", $readme);
        }
    }

    private function boot(string $environment): ContainerInterface
    {
        $manifest = self::manifest();
        $project = (new Project())->withBundles(...array_keys($manifest['bundles']));
        (new Filesystem())->mirror(self::RECIPE . '/config', $project->directory . '/config');
        // Dotenv sets the variables that Flex adds to .env.
        $variables = '';
        foreach ($manifest['env'] as $name => $value) {
            $variables .= str_starts_with($name, '#') ? '' : sprintf("    env(%s): '%s'\n", $name, $value);
        }
        $project->write('config/packages/env.yaml', "parameters:\n" . $variables)
            ->write('config/packages/seen.yaml', sprintf("services:\n    seen.publisher: {alias: '%s', public: true}\n", PublisherInterface::class));
        $this->kernel = $project->boot($environment);

        return $this->kernel->getContainer();
    }

    /** @param array<string, string> $input */
    private function console(array $input): string
    {
        $application = new Application($this->kernel);
        $application->setAutoExit(false);
        $console = new ApplicationTester($application);
        self::assertSame(0, $console->run($input), $console->getDisplay());

        return $console->getDisplay();
    }

    private static function manifest(): array
    {
        return json_decode(file_get_contents(self::RECIPE . '/manifest.json'), true, 512, \JSON_THROW_ON_ERROR);
    }
}
