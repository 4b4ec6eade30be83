<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Orosync\Tests\Wait;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\DomCrawler\Crawler;
use Symfony\Component\Process\Process;

/**
 * The five steps of the README, executed literally in a new application with the real extension, server, web server and
 * WebSocket client. The tests' autoloader replaces Composer in the first step.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class FiveStepsTest extends TestCase
{
    private const ANNA = 'Authorization: Basic YW5uYTpkZW1v';

    /** @var list<Process> */
    private array $running = [];

    private Example $steps;

    protected function setUp(): void
    {
        $this->steps = new Example('README.md', 'In an existing Symfony application');
    }

    protected function tearDown(): void
    {
        foreach ($this->running as $process) {
            $process->stop();
        }
    }

    public function testTheFiveStepsDeliverAMessageToABrowser(): void
    {
        [$project, $site] = $this->follow();

        // A browser requests the page.
        $page = new Crawler(self::request($site . '/'));
        self::assertSame(
            file_get_contents(\dirname(__DIR__, 3) . '/js/src/page.js'),
            self::request($site . $page->filterXPath('//script')->attr('src')),
            'the page finds the browser client',
        );
        self::assertStringContainsString('.orosync-flash', self::request($site . $page->filterXPath('//link')->attr('href')));
        $browser = self::browser($site);
        $browser->subscribe('oro/maintenance');

        // 5. Say something
        $said = $project->console($this->steps->command('orosync:maintenance'))->mustRun();

        self::assertStringContainsString('All open pages are notified.', $said->getOutput());
        self::assertSame(['oro/maintenance', ['isOn' => true, 'userId' => null]], $browser->next());

        self::assertStringContainsString('`bin/console orosync:check` says what is', $this->steps->text());
        $check = $project->console(['orosync:check'])->mustRun()->getOutput();
        preg_match_all('~^(\w+) +(\S+) ~m', $check, $lines);
        self::assertSame(['OK'], array_values(array_unique($lines[1])), $check);
        self::assertSame(['extension', 'endpoint', 'secret', 'binary', 'server', 'ticket', 'topics', 'refusals', 'browsers'], $lines[2]);
    }

    public function testAMessageToATopicOfTheApplicationReachesItsSubscribers(): void
    {
        [, $site] = $this->follow(self::applicationThatShips());

        $browser = self::browser($site, self::ANNA);
        $browser->subscribe('acme/orders/7');
        self::request($site . '/ship', 'POST');

        self::assertSame(['acme/orders/7', ['shipped' => 'A-1']], $browser->next());
    }

    public function testAMisspeltTopicIsLogged(): void
    {
        $project = self::applicationThatShips();
        $publisher = $project->directory . '/src/OrderShipped.php';
        file_put_contents($publisher, str_replace('acme/orders/', 'acme/order/', file_get_contents($publisher)));
        // A new application uses Symfony's own logger, which writes to the web server's standard error.
        $services = $project->directory . '/config/services.yaml';
        file_put_contents($services, preg_replace('/^    logger:\n(?:        .*\n)+/m', '', file_get_contents($services)));
        $project->withBundles(WebProfilerBundle::class)
            ->write('config/packages/web_profiler.yaml', "framework: {profiler: {collect: true}}\nweb_profiler: {toolbar: false}\n");
        [, $site, $web] = $this->follow($project);
        self::request($site . '/ship', 'POST');

        Wait::until(
            static fn (): bool => str_contains($web->getErrorOutput(), '"acme/order/7" is not declared. Did you mean "acme/orders/{uid:int}"?'),
            static fn (): string => $web->getErrorOutput(),
        );
    }

    /** The documentation's topics and publishing service, the user Anna with id 7, and a request that ships her order. */
    private static function applicationThatShips(): Project
    {
        $project = new Project();
        $topics = new Example('docs/symfony.md', 'A topic of your own');
        $manager = Kernel::VERSION_ID < 60200 ? "    enable_authenticator_manager: true\n" : '';

        return $project->withBundles(SecurityBundle::class)
            ->write('config/packages/topics.yaml', $topics->file('config/packages/orosync.yaml'))
            ->write('src/OrderShipped.php', $topics->phpClass('OrderShipped'))
            ->write('config/packages/security.yaml', "security:\n" . $manager . <<<'YAML'
                password_hashers: {App\Employee: plaintext}
                providers: {people: {id: App\People}}
                firewalls: {main: {http_basic: ~}}

            YAML)
            ->write('src/Employee.php', <<<'PHP'
                <?php

                namespace App;

                use Symfony\Component\Security\Core\User\PasswordAuthenticatedUserInterface;
                use Symfony\Component\Security\Core\User\UserInterface;

                final class Employee implements UserInterface, PasswordAuthenticatedUserInterface
                {
                    public function getId(): int
                    {
                        return 7;
                    }

                    public function getUserIdentifier(): string
                    {
                        return 'anna';
                    }

                    public function getUsername(): string
                    {
                        return 'anna';
                    }

                    public function getPassword(): string
                    {
                        return 'demo';
                    }

                    public function getSalt(): ?string
                    {
                        return null;
                    }

                    public function getRoles(): array
                    {
                        return ['ROLE_USER'];
                    }

                    public function eraseCredentials(): void
                    {
                    }
                }

                PHP)
            ->write('src/People.php', <<<'PHP'
                <?php

                namespace App;

                use Symfony\Component\Security\Core\User\UserInterface;
                use Symfony\Component\Security\Core\User\UserProviderInterface;

                final class People implements UserProviderInterface
                {
                    public function loadUserByIdentifier(string $identifier): Employee
                    {
                        return new Employee();
                    }

                    public function loadUserByUsername(string $username): Employee
                    {
                        return new Employee();
                    }

                    public function refreshUser(UserInterface $user): UserInterface
                    {
                        return $user;
                    }

                    public function supportsClass(string $class): bool
                    {
                        return Employee::class === $class;
                    }
                }

                PHP)
            ->write('src/Controller/ShipController.php', <<<'PHP'
                <?php

                namespace App\Controller;

                use App\OrderShipped;
                use Symfony\Component\HttpFoundation\Response;

                final class ShipController
                {
                    public function __invoke(OrderShipped $shipped): Response
                    {
                        $shipped->tell(7, 'A-1');

                        return new Response();
                    }
                }

                PHP)
            ->write('config/routes/ship.yaml', "ship:\n    path: /ship\n    controller: App\\Controller\\ShipController\n");
    }

    /**
     * Executes the steps up to the server and the web server.
     *
     * @return array{Project, string, Process} the application, its address, the web server
     */
    private function follow(Project $project = new Project()): array
    {
        // A free port instead of 8080, with a free next port, and the server under test; nothing else is configured.
        do {
            [$port, $webPort] = Project::freePorts(2);
            $next = @stream_socket_server('tcp://127.0.0.1:' . ($port + 1));
        } while (false === $next || $webPort === $port + 1);
        fclose($next);
        $binary = Project::serverBinary();
        $project->write('config/packages/orosync.yaml', <<<YAML
            orosync:
                backend: '//*:$port'
                frontend: '//*:$port/ws'
                server: {bind: '//127.0.0.1:$port', binary: '$binary'}
            YAML);

        // 2. Register
        self::assertStringContainsString('Orosync\OrosyncBundle::class => [\'all\' => true],', $this->steps->file('config/bundles.php'));
        $project->withBundle()->write('config/routes/orosync.yaml', $this->steps->file('config/routes/orosync.yaml'));

        // 3. The page
        $project->console($this->steps->command('assets:install'))->mustRun();
        $layout = file_get_contents($project->directory . '/templates/base.html.twig');
        $snippet = $this->steps->file('templates/base.html.twig');
        $project->write('templates/base.html.twig', str_replace('</body>', $snippet . '</body>', $layout));

        // 4. The server
        $server = $project->console($this->steps->command('orosync:server'), ['OROSYNC_ADMIN_BIND' => false]);
        $server->start();
        $this->running[] = $server;
        Wait::until(
            static fn (): bool => str_contains($server->getErrorOutput(), 'is ready'),
            static fn (): string => $server->getOutput() . $server->getErrorOutput(),
        );

        $web = $this->serve($project, $webPort);

        return [$project, 'http://127.0.0.1:' . $webPort, $web];
    }

    /** A session of a page, opened with the page's ticket. */
    private static function browser(string $site, string $authorization = ''): WampClient
    {
        $page = new Crawler(self::request($site . '/', 'GET', $authorization));
        $client = json_decode($page->filterXPath('//orosync-page')->attr('client'), true, 512, \JSON_THROW_ON_ERROR);
        $ticket = json_decode(self::request($site . $client['ticketUrl'], 'POST', $authorization), true, 512, \JSON_THROW_ON_ERROR);

        return new WampClient($client['url'] . '?ticket=' . $ticket['ticket']);
    }

    private function serve(Project $project, int $port): Process
    {
        $web = $project->php(['-S', '127.0.0.1:' . $port, '-t', 'public', 'public/index.php']);
        $web->start();
        $this->running[] = $web;
        Wait::until(
            static fn (): bool => false !== @fsockopen('127.0.0.1', $port),
            static fn (): string => $web->getErrorOutput(),
        );

        return $web;
    }

    private static function request(string $url, string $method = 'GET', string $authorization = ''): string
    {
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => $authorization,
            'ignore_errors' => true,
            'timeout' => 20,
        ]]);
        $body = file_get_contents($url, false, $context);
        self::assertStringContainsString(' 200 ', $http_response_header[0], $method . ' ' . $url . ': ' . substr((string) $body, 0, 500));

        return $body;
    }
}
