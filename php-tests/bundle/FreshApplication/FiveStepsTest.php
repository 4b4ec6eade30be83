<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Component\DomCrawler\Crawler;
use Symfony\Component\Process\Process;

/**
 * The five steps of the README as they are written there, in a new application: extension, server, web server and
 * WebSocket client are real. For what Composer does in the first one stands the autoloader of these tests.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class FiveStepsTest extends TestCase
{
    /** @var list<Process> */
    private array $running = [];

    protected function tearDown(): void
    {
        foreach ($this->running as $process) {
            $process->stop();
        }
    }

    public function testTheyLeadFromAnApplicationToTheFirstMessage(): void
    {
        $project = new Project();
        [$port, $webPort] = Project::freePorts(2);
        // A free port instead of 8080, and the server that was just built; nothing else is configured.
        $binary = Project::serverBinary();
        $project->write('config/packages/orosync.yaml', <<<YAML
            orosync:
                backend: '//*:$port'
                frontend: '//*:$port/ws'
                server: {bind: '//127.0.0.1:$port', binary: '$binary'}
            YAML);

        // 2. Register
        self::assertStringContainsString('Orosync\OrosyncBundle::class => [\'all\' => true],', self::example('config/bundles.php'));
        $project->withBundle()->write('config/routes/orosync.yaml', self::example('config/routes/orosync.yaml'));

        // 3. The page
        $project->console(self::command('assets:install'))->mustRun();
        $layout = file_get_contents($project->directory . '/templates/base.html.twig');
        $snippet = self::example('templates/base.html.twig');
        $project->write('templates/base.html.twig', str_replace('</body>', $snippet . '</body>', $layout));

        // 4. The server
        $server = $project->console(self::command('orosync:server'));
        $server->start();
        $this->running[] = $server;
        Wait::until(
            static fn (): bool => str_contains($server->getErrorOutput(), 'is ready'),
            static fn (): string => $server->getOutput() . $server->getErrorOutput(),
        );

        // A browser opens the page.
        $site = 'http://127.0.0.1:' . $webPort;
        $this->serve($project, $webPort);
        $page = new Crawler(self::request($site . '/'));
        self::assertSame(
            file_get_contents(\dirname(__DIR__, 3) . '/js/src/page.js'),
            self::request($site . $page->filterXPath('//script')->attr('src')),
            'the page finds the browser client',
        );
        self::assertStringContainsString('.orosync-flash', self::request($site . $page->filterXPath('//link')->attr('href')));
        $client = json_decode($page->filterXPath('//orosync-page')->attr('client'), true, 512, \JSON_THROW_ON_ERROR);
        $ticket = json_decode(self::request($site . $client['ticketUrl'], 'POST'), true, 512, \JSON_THROW_ON_ERROR);
        $browser = new WampClient($client['url'] . '?ticket=' . $ticket['ticket']);
        $browser->subscribe('oro/maintenance');

        // 5. Say something
        $said = $project->console(self::command('orosync:maintenance'))->mustRun();

        self::assertStringContainsString('All open pages are told.', $said->getOutput());
        self::assertSame(['oro/maintenance', ['isOn' => true, 'userId' => null]], $browser->next());
    }

    private function serve(Project $project, int $port): void
    {
        $web = $project->php(['-S', '127.0.0.1:' . $port, '-t', 'public', 'public/index.php']);
        $web->start();
        $this->running[] = $web;
        Wait::until(
            static fn (): bool => false !== @fsockopen('127.0.0.1', $port),
            static fn (): string => $web->getErrorOutput(),
        );
    }

    private static function request(string $url, string $method = 'GET'): string
    {
        $context = stream_context_create(['http' => ['method' => $method, 'ignore_errors' => true, 'timeout' => 20]]);
        $body = file_get_contents($url, false, $context);
        self::assertStringContainsString(' 200 ', $http_response_header[0], $method . ' ' . $url . ': ' . substr((string) $body, 0, 500));

        return $body;
    }

    /** The example whose first line names the file. */
    private static function example(string $file): string
    {
        self::assertSame(1, preg_match('~^```\w+\n(\S+ ' . preg_quote($file) . '\b.*?)^```$~ms', self::steps(), $example), $file);

        return $example[1];
    }

    /** @return list<string> the arguments of the console in the line that runs this command */
    private static function command(string $name): array
    {
        self::assertSame(1, preg_match('~^bin/console (' . $name . '\b[^#\n]*)~m', self::steps(), $line), $name);

        return explode(' ', trim($line[1]));
    }

    private static function steps(): string
    {
        $document = file_get_contents(\dirname(__DIR__, 3) . '/README.md');
        self::assertSame(1, preg_match('~^## In an existing Symfony application.*?(?=^## )~ms', $document, $section));

        return $section[0];
    }
}
