<?php

declare(strict_types=1);

namespace Orosync\Tests\Profiler;

use Doctrine\ORM\Tools\SchemaTool;
use Orosync\Entry\Guard;
use Orosync\Profiler\PageFacts;
use Orosync\Profiler\PublishingCollector;
use Orosync\Profiler\RecordingPublisher;
use Orosync\Publishing\ExtensionPublisher;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\UnavailablePublisher;
use Orosync\Test\InMemoryPublisher;
use Orosync\Tests\Application\CompanyVoter;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\ReadableTicketIssuer;
use Orosync\Tests\FreshApplication\Kernel;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\Wait;
use Orosync\Ticket\RequestedTopics;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Topic\DeclaredTopics;
use Orosync\Twig\LivePage;
use Orosync\Twig\PageElement;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use PHPUnit\Framework\TestCase;
use Psr\Log\NullLogger;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\DomCrawler\Crawler;
use Symfony\Component\Finder\Finder;
use Symfony\Component\Process\Process;

/** The panel, rendered by the web profiler of a real application. */
final class ProfilerPanelTest extends TestCase
{
    private ?Kernel $kernel = null;
    private ?Process $server = null;
    private Project $project;
    private string $token;

    protected function tearDown(): void
    {
        $this->server?->stop();
        $this->kernel?->shutdown();
    }

    public function testThePanelShowsEachMessageWithItsOutcome(): void
    {
        $browser = $this->browser('orosync: {test: true}');
        $panel = $this->panelOf($browser, '/publish');

        self::assertStringContainsString('acme/orders/7', $panel);
        self::assertStringContainsString('{"note":"<b>shipped</b>"}', $panel);
        self::assertStringContainsString('accepted', $panel);
        self::assertStringContainsString('Invalid: the payload cannot be encoded as JSON: Malformed UTF-8', $panel);
        self::assertStringContainsString('connected', $panel);
        self::assertStringContainsString('in-memory:', $panel);
        self::assertStringNotContainsString('nothing', $panel);

        $toolbar = $this->toolbarOf($browser);
        self::assertSame('2', $toolbar->filterXPath('//span[contains(@class, "sf-toolbar-value")]')->text());
        self::assertStringContainsString('sf-toolbar-status-red', $toolbar->attr('class'));
    }

    public function testPanelAndToolbarShowAnUndeclaredTopic(): void
    {
        $browser = $this->browser("orosync: {test: true, topics: {'acme/order/{uid:int}': owner}}");
        $panel = $this->panelOf($browser, '/terminate');

        self::assertStringContainsString('accepted but not delivered: "acme/afterwards" is not declared.', $panel);
        self::assertStringContainsString('sf-toolbar-status-yellow', $this->toolbarOf($browser)->attr('class'));
    }

    public function testThePanelShowsContentTagsUserAndTopicsOfThePage(): void
    {
        $browser = $this->browser("orosync: {test: true, topics: {'acme/orders/{uid:int}': owner, 'acme/news': anyone}}");
        $panel = $this->panelOf($browser, '/page');

        self::assertStringContainsString('Content tags (2)', $panel);
        self::assertStringContainsString('menu_1', $panel);
        self::assertStringContainsString('<given>', $panel);
        self::assertStringContainsString('roleanonymous', $panel);
        self::assertStringContainsString('oro/data/update built in the page, for its content tags', $panel);
        self::assertStringContainsString('acme/orders/{uid:int} owner scripts of the page', $panel);
        self::assertStringContainsString('acme/news anyone scripts of the page', $panel);
    }

    public function testThePanelOfATicketRequestShowsItsTopicsAndTheirOutcomes(): void
    {
        $this->project = self::profiled(sprintf(
            "orosync: {test: true, topics: {'acme/news': user, 'acme/company/{company}': {voter: VIEW, class: %s}}}",
            Company::class,
        ))->withDoctrine()->withUsers('ann')
            ->write('config/packages/tickets.yaml', sprintf(<<<'YAML'
                services:
                    %s: {tags: [security.voter]}
                    %s:
                    %s: '@%2$s'
                YAML, CompanyVoter::class, ReadableTicketIssuer::class, TicketIssuerInterface::class));
        $this->kernel = $this->project->boot('dev');
        $manager = $this->kernel->getContainer()->get('doctrine')->getManager();
        (new SchemaTool($manager))->createSchema([$manager->getClassMetadata(Company::class)]);
        array_map(static fn (string $name) => $manager->persist(new Company($name)), ['ann', 'bob']);
        $manager->flush();
        $browser = new KernelBrowser($this->kernel);
        $browser->disableReboot();
        $browser->request('POST', '/sync/ticket', [], [], ['PHP_AUTH_USER' => 'ann', 'PHP_AUTH_PW' => 'demo'], '{"topics":["acme/company/1","acme/company/2","acme/news"]}');
        $panel = $this->panelOfLast($browser);

        $requested = 'VIEW on ' . Company::class;
        self::assertStringContainsString("acme/company/1 granted $requested acme/company/2 denied $requested acme/news left to the server nothing", $panel);
        self::assertStringNotContainsString('Topics of the ticket request', $this->panelOf($browser, '/'), 'the next request has no topics');
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testThePanelShowsPhpIniSettingsWithoutEffect(): void
    {
        $project = self::profiled('orosync: {test: true}')
            ->write('php.d/90-orosync.ini', "orosync.endpoint = ws://10.0.0.1:9/\n");
        [$port] = Project::freePorts(1);
        $this->server = $project->php(
            ['-S', '127.0.0.1:' . $port, '-t', 'public', 'public/index.php'],
            ['PHP_INI_SCAN_DIR' => ':' . $project->directory . '/php.d'],
        );
        $this->server->start();
        Wait::until(static fn (): bool => false !== @fsockopen('127.0.0.1', $port), fn (): string => $this->server->getErrorOutput());
        $headers = stream_get_meta_data(fopen("http://127.0.0.1:$port/", 'r'))['wrapper_data'];
        [$token] = array_values(preg_filter('~^X-Debug-Token: (\w+)$~i', '$1', $headers));
        $panel = self::text(file_get_contents("http://127.0.0.1:$port/_profiler/$token?panel=orosync"));

        self::assertStringContainsString('(cli-server) extensionorosync ' . phpversion('orosync'), $panel);
        self::assertStringContainsString("orosync.endpointws://10.0.0.1:9/ ({$project->directory}/php.d/90-orosync.ini) has no effect", $panel);
    }

    public function testAUserIdIsNotInterpretedAsAReplacementPattern(): void
    {
        $facts = self::factsOf('a$0\\1', ['pattern' => 'acme/{uid}', 'subscribe' => 'owner', 'publish' => 'publisher']);

        self::assertSame('acme/a$0\\1', $facts->all()['topics'][1]['topic']);
    }

    public function testMissingFactsAboutThePageDoNotAffectTheRestOfThePanel(): void
    {
        $publisher = new RecordingPublisher(static fn (): InMemoryPublisher => new InMemoryPublisher(), new DeclaredTopics(), new NullLogger(), $guard = new Guard(new NullLogger()));
        $publisher->publish('acme/news', 1);
        $collector = new PublishingCollector($publisher, $guard, new RequestedTopics(), self::factsOf(7, ['no rule' => '']));
        $collector->lateCollect();

        self::assertNull($collector->getPage());
        self::assertSame('The profiler lacks the facts about the page', $collector->getFailures()[0]['lost']);
        self::assertCount(1, $collector->getRecords());
    }

    public function testThePanelShowsThatAPageIsNotLive(): void
    {
        $browser = $this->browser('orosync: {test: true}');

        self::assertStringContainsString('No template has called orosync_page().', $this->panelOf($browser, '/'));
        self::assertStringContainsString('so this page receives no changes of its content', $this->panelOf($browser, '/unheard'));
    }

    public function testAPayloadIsEscapedInThePanel(): void
    {
        $browser = $this->browser('orosync: {test: true}');
        $this->panelOf($browser, '/publish');

        self::assertStringNotContainsString('<b>shipped</b>', $browser->getResponse()->getContent());
    }

    public function testMessagesPublishedAfterTheResponseBelongToTheRequest(): void
    {
        $browser = $this->browser('orosync: {test: true}');

        self::assertStringContainsString('acme/afterwards', $this->panelOf($browser, '/terminate'));
    }

    public function testRecordsAreResetForTheNextRequest(): void
    {
        $browser = $this->browser('orosync: {test: true}');
        $browser->disableReboot();
        $this->panelOf($browser, '/publish');
        $panel = $this->panelOf($browser, '/');

        self::assertStringContainsString('This request published no messages.', $panel);
        self::assertStringNotContainsString('acme/orders/7', $panel);
        self::assertCount(0, $this->toolbarOf($browser));
    }

    public function testPanelAndToolbarShowWhyNothingCanBeSent(): void
    {
        $browser = $this->browser('orosync: {backend: ""}');
        $panel = $this->panelOf($browser, '/publish');

        self::assertStringContainsString('Nothing can be sent: the backend endpoint is empty, which switches them off.', $panel);
        self::assertStringContainsString('not accepted', $panel);

        $this->panelOf($browser, '/');
        self::assertStringContainsString('sf-toolbar-status-yellow', $this->toolbarOf($browser)->attr('class'));
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testTheToolbarShowsAServerThatDoesNotAnswer(): void
    {
        $browser = $this->browser("orosync: {backend: '//127.0.0.1:1'}");
        $browser->disableReboot();
        Wait::until(
            fn (): bool => str_contains($this->panelOf($browser, '/publish'), 'Not connected to ws://127.0.0.1:1/: '),
            static fn (): string => (string) $browser->getResponse()->getContent(),
        );

        $this->panelOf($browser, '/');
        $toolbar = $this->toolbarOf($browser);
        self::assertStringContainsString('sf-toolbar-status-yellow', $toolbar->attr('class'));
        self::assertStringContainsString('Accepted messages wait for the server.', $toolbar->text());
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testPanelToolbarAndLogShowRefusalsOfTheServer(): void
    {
        $binary = Project::serverBinary();
        [$port] = Project::freePorts(1);
        $browser = $this->browser("orosync: {backend: '//127.0.0.1:$port', server: {bind: '//127.0.0.1:$port', binary: '$binary'}}");
        $browser->disableReboot();
        $this->server = $this->project->startServer();
        Wait::until(
            fn (): bool => str_contains($this->panelOf($browser, '/publish'), 'accepted but the server does not deliver it: The topic "acme/orders/7" is not declared'),
            static fn (): string => (string) $browser->getResponse()->getContent(),
        );
        self::assertStringContainsString('Refused by the server', $this->panelOf($browser, '/publish'));
        self::assertSame(1, $this->toolbarOf($browser)->filterXPath('//*[contains(text(), "Not delivered")]/following-sibling::span[text() = "1"]')->count());
        self::assertCount(1, $this->kernel->getContainer()->get('logger')->lines('warning: The server does not deliver messages to acme/orders/7: '));

        // Messages to other topics in later requests of the process are not affected.
        self::assertStringNotContainsString('accepted but', $this->panelOf($browser, '/'));
    }

    public function testAMissingSecretIsReported(): void
    {
        $browser = $this->browser("parameters: {env(LIVE): ''}\norosync: {secret: '%env(LIVE)%'}");
        $reason = \extension_loaded('orosync') ? 'orosync.secret is empty. Give it a value' : 'the PHP extension "orosync" is not loaded';

        self::assertStringContainsString('Nothing can be sent: ' . $reason, $this->panelOf($browser, '/'));
    }

    public function testInProductionThePublisherIsNotDecorated(): void
    {
        $this->kernel = self::project('orosync: ~')->boot('prod');
        $container = $this->kernel->getContainer();

        self::assertContains($container->get('seen')->publisher::class, [ExtensionPublisher::class, UnavailablePublisher::class]);
        self::assertFalse($container->has('orosync.recording_publisher'));
        foreach ((new Finder())->in($this->kernel->getBuildDir())->files()->name('*.php') as $file) {
            self::assertStringNotContainsString('Orosync\\Profiler', str_replace('\\\\', '\\', $file->getContents()), (string) $file);
        }
    }

    /** @param array<string, string> $rule of the one topic that is declared */
    private static function factsOf(int|string $userId, array $rule): PageFacts
    {
        $page = new LivePage();
        $page->render(new PageElement(
            ['url' => '', 'ticketUrl' => '', 'userName' => null, 'userId' => $userId, 'role' => 'user', 'organizationId' => null],
            [],
            [],
            0.0,
            true,
        ));

        return new PageFacts($page, new DeclaredTopics([$rule]));
    }

    /** The panel of a request to $path, as text. */
    private function panelOf(KernelBrowser $browser, string $path): string
    {
        $browser->request('GET', $path);

        return $this->panelOfLast($browser);
    }

    private function panelOfLast(KernelBrowser $browser): string
    {
        self::assertSame(200, $browser->getResponse()->getStatusCode(), strtok((string) $browser->getResponse()->getContent(), "\n"));
        $this->token = $browser->getResponse()->headers->get('X-Debug-Token');
        $browser->request('GET', '/_profiler/' . $this->token . '?panel=orosync');
        self::assertSame(200, $browser->getResponse()->getStatusCode(), strtok((string) $browser->getResponse()->getContent(), "\n"));

        return self::text((string) $browser->getResponse()->getContent());
    }

    private static function text(string $html): string
    {
        // libxml cannot parse the profiler's scripts; there are none after the headline.
        $panel = strstr($html, '<h2>Live notifications</h2>');
        self::assertIsString($panel, 'the panel has its headline');

        return preg_replace('/\s+/', ' ', html_entity_decode(strip_tags(strstr($panel, '<script', true) ?: $panel)));
    }

    /** The bundle's part of the toolbar of panelOf()'s request. */
    private function toolbarOf(KernelBrowser $browser): Crawler
    {
        return $browser->request('GET', '/_wdt/' . $this->token)
            ->filterXPath('//div[contains(@class, "sf-toolbar-block-orosync")]');
    }

    private function browser(string $orosync): KernelBrowser
    {
        $this->project = self::profiled($orosync);
        $this->kernel = $this->project->boot('dev');

        return new KernelBrowser($this->kernel);
    }

    private static function profiled(string $orosync): Project
    {
        $routes = \dirname((new \ReflectionClass(WebProfilerBundle::class))->getFileName()) . '/Resources/config/routing';
        $format = is_file($routes . '/wdt.php') ? 'php' : 'xml';

        return self::project($orosync)
            ->withBundles(WebProfilerBundle::class)
            ->write('config/packages/profiler.yaml', <<<'YAML'
                framework:
                    profiler: {collect: true}
                    session: {storage_factory_id: session.storage.factory.mock_file}
                web_profiler: {toolbar: true}
                YAML)
            ->write('config/routes/profiler.yaml', <<<YAML
                toolbar: {resource: '@WebProfilerBundle/Resources/config/routing/wdt.$format', prefix: /_wdt}
                profiler: {resource: '@WebProfilerBundle/Resources/config/routing/profiler.$format', prefix: /_profiler}
                YAML);
    }

    private static function project(string $orosync): Project
    {
        return (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', $orosync)
            ->write('config/routes/app.yaml', <<<'YAML'
                publish: {path: /publish, controller: App\Controller\PublishingController::publish}
                terminate: {path: /terminate, controller: App\Controller\PublishingController::terminate}
                page: {path: /page, controller: App\Controller\PublishingController::page}
                unheard: {path: /unheard, controller: App\Controller\PublishingController::unheard}
                YAML)
            ->write('config/packages/seen.yaml', <<<'YAML'
                services:
                    seen: {alias: App\Controller\PublishingController, public: true}
                YAML)
            ->write('config/routes/orosync.yaml', "orosync: {resource: '@OrosyncLiveBundle/config/routes.php'}")
            ->write('src/Controller/PublishingController.php', <<<'PHP'
                <?php

                namespace App\Controller;

                use Orosync\Publishing\PublisherInterface;
                use Symfony\Component\EventDispatcher\EventDispatcherInterface;
                use Symfony\Component\HttpFoundation\Response;
                use Twig\Environment;

                final class PublishingController
                {
                    public function __construct(
                        public readonly PublisherInterface $publisher,
                        private readonly EventDispatcherInterface $events,
                        private readonly Environment $twig,
                    ) {
                    }

                    public function page(): Response
                    {
                        return self::answer($this->twig, '{{ orosync_page(["<given>"]) }}{% do oro_sync_get_content_tags({name: "menu", params: [1]}) %}');
                    }

                    public function unheard(): Response
                    {
                        return self::answer($this->twig, 'menu{% do oro_sync_get_content_tags({name: "menu"}) %}');
                    }

                    private static function answer(Environment $twig, string $template): Response
                    {
                        return new Response($twig->createTemplate($template)->render());
                    }

                    public function publish(): Response
                    {
                        $this->publisher->publish('acme/orders/7', ['note' => '<b>shipped</b>']);
                        $this->publisher->publish('acme/orders/7', "\xE9");

                        return new Response('published');
                    }

                    public function terminate(): Response
                    {
                        $this->events->addListener(
                            'kernel.terminate',
                            fn () => $this->publisher->publish('acme/afterwards', 1),
                        );

                        return new Response('will publish');
                    }
                }
                PHP);
    }
}
