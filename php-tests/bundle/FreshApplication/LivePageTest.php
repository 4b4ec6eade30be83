<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Component\DomCrawler\Crawler;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\HttpCache\HttpCache;
use Symfony\Component\HttpKernel\HttpCache\Store;

/** Content tags from anywhere in the templates, in the page that a browser receives. */
final class LivePageTest extends TestCase
{
    private const AT_THE_END = '<!doctype html><html><body>{% block body %}{% endblock %}{{ orosync_page() }}</body></html>';
    private const IN_THE_HEAD = '<!doctype html><html><head>{{ orosync_page() }}</head><body>{% block body %}{% endblock %}</body></html>';

    private ?Kernel $kernel = null;

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
    }

    /** @return iterable<string, array{string, array<string, string>, list<string>}> */
    public static function places(): iterable
    {
        $child = static fn (string $body): string => "{% extends 'base.html.twig' %}{% block body %}$body{% endblock %}";
        $named = static fn (string $name): string => "{% do oro_sync_get_content_tags({name: '$name'}) %}";
        foreach (['at the end' => self::AT_THE_END, 'in the head' => self::IN_THE_HEAD] as $where => $layout) {
            yield "in a block, element $where" => [$layout, ['home' => $child($named('a'))], ['a']];
            yield "as a variable of a block, element $where" => [
                $layout,
                ['home' => $child("{% set tags = oro_sync_get_content_tags({name: 'a'}) %}")],
                ['a'],
            ];
            yield "outside of blocks, element $where" => [
                $layout,
                ['home' => "{% extends 'base.html.twig' %}{% set tags = oro_sync_get_content_tags({name: 'a'}) %}"],
                ['a'],
            ];
            yield "in an included template, element $where" => [
                $layout,
                ['home' => $child("{{ include('part.html.twig') }}" . $named('b')), 'part' => $named('a')],
                ['a', 'b'],
            ];
            yield "in a fragment, element $where" => [
                $layout,
                ['home' => $child("{{ render(controller('App\\\\Controller\\\\PageController::part')) }}"), 'part' => $named('a')],
                ['a'],
            ];
            yield "twice, element $where" => [$layout, ['home' => $child($named('a') . $named('b') . $named('a'))], ['a', 'b']];
        }
        yield 'as an argument besides' => [
            str_replace('orosync_page()', "orosync_page(['given'])", self::AT_THE_END),
            ['home' => $child($named('a'))],
            ['a', 'given'],
        ];
        yield 'where no template names any' => [self::AT_THE_END, ['home' => $child('')], []];
    }

    /**
     * @param array<string, string> $templates
     * @param list<string>          $tags
     *
     * @dataProvider places
     */
    #[DataProvider('places')]
    public function testThePageHasTheTagsOfAllItsTemplates(string $layout, array $templates, array $tags): void
    {
        $browser = $this->browser(['base' => $layout] + $templates);
        $browser->request('GET', '/page/home');

        self::assertSame($tags, self::tagsIn($browser));
    }

    public function testTagsAreNotKeptForTheNextPage(): void
    {
        $browser = $this->browser([
            'base' => self::AT_THE_END,
            'home' => "{% extends 'base.html.twig' %}{% block body %}{% do oro_sync_get_content_tags({name: 'a'}) %}{% endblock %}",
            'other' => "{% extends 'base.html.twig' %}",
        ]);
        $browser->disableReboot();
        $browser->request('GET', '/page/home');
        $browser->request('GET', '/page/other');

        self::assertSame([], self::tagsIn($browser));
    }

    public function testAnErrorPageHasNoTagsOfTheFailedPage(): void
    {
        $browser = $this->browser([
            'base' => self::AT_THE_END,
            'home' => "{% do oro_sync_get_content_tags({name: 'a'}) %}{{ include('nowhere.html.twig') }}",
            'bundles/TwigBundle/Exception/error' => "{% extends 'base.html.twig' %}{% block body %}{% do oro_sync_get_content_tags({name: 'error'}) %}{% endblock %}",
        ], 'prod');
        // Symfony 6.4 and later renders errors differently on the console.
        $_SERVER['APP_RUNTIME_MODE'] = 'web=1';
        try {
            $browser->request('GET', '/page/home');
        } finally {
            unset($_SERVER['APP_RUNTIME_MODE']);
        }

        self::assertSame(500, $browser->getResponse()->getStatusCode());
        self::assertSame(['error'], self::tagsIn($browser));
    }

    public function testAFailedFragmentAddsNoTags(): void
    {
        $browser = $this->browser([
            'base' => self::AT_THE_END,
            'home' => "{% extends 'base.html.twig' %}{% block body %}{% do oro_sync_get_content_tags({name: 'a'}) %}"
                . "{{ render(controller('App\\\\Controller\\\\PageController::part'), {ignore_errors: true}) }}{% endblock %}",
            'part' => "{{ include('nowhere.html.twig') }}",
        ], 'prod');
        $browser->request('GET', '/page/home');

        self::assertSame(['a'], self::tagsIn($browser));
    }

    public function testAContentLengthHeaderIsUpdated(): void
    {
        $browser = $this->browser([
            'base' => self::IN_THE_HEAD,
            'home' => "{% extends 'base.html.twig' %}{% block body %}{% do oro_sync_get_content_tags({name: 'a'}) %}{% endblock %}",
        ]);
        $browser->request('GET', '/page/home?length');

        $response = $browser->getResponse();
        self::assertSame((string) \strlen($response->getContent()), $response->headers->get('Content-Length'));
        self::assertSame(['a'], self::tagsIn($browser));
    }

    public function testEachPageOfAWorkerHasTheTimeOfItsOwnRequest(): void
    {
        $this->browser(['home' => '{{ orosync_page() }}']);

        self::assertSame(1_790_000_000_123, self::startOf($this->kernel->handle(self::request(1_790_000_000.1239))));
        self::assertSame(1_790_000_007_000, self::startOf($this->kernel->handle(self::request(1_790_000_007.0))));
        foreach ([null, 'soon', 0, microtime(true) + 3600] as $unknown) {
            $before = floor(1000 * microtime(true));
            $page = $this->kernel->handle(self::request($unknown));
            self::assertGreaterThanOrEqual($before, self::startOf($page));
            self::assertLessThanOrEqual(1000 * microtime(true), self::startOf($page));
        }
    }

    public function testWithoutARequestTimeAPageHasTheTimeAtWhichTheKernelReceivedTheRequest(): void
    {
        $this->browser(['home' => "{{ render(controller('App\\\\Controller\\\\PageController::slow')) }}", 'part' => '{{ orosync_page() }}']);
        $before = microtime(true);

        $page = $this->kernel->handle(self::request(null));

        self::assertLessThan(1000 * ($before + 0.2), self::startOf($page), 'the time of the page, not of the fragment with the element');
        self::assertGreaterThan($before + 0.2, microtime(true));
    }

    public function testACachedPageKeepsTheTimeOfItsRequest(): void
    {
        $this->browser(['home' => '{{ orosync_page() }}']);
        $cache = new HttpCache($this->kernel, new Store($this->kernel->getCacheDir() . '/http_cache'), null, ['debug' => true]);

        $first = $cache->handle(self::request(1_790_000_000.0, '?shared'));
        $second = $cache->handle(self::request(1_790_000_030.0, '?shared'));

        self::assertStringEndsWith(': fresh', $second->headers->get('X-Symfony-Cache'));
        self::assertSame([1_790_000_000_000, 1_790_000_000_000], [self::startOf($first), self::startOf($second)]);
    }

    public function testConsoleWarningsCanBeSwitchedOffInTheTemplate(): void
    {
        $browser = $this->browser(['home' => '{{ orosync_page(warnings = false) }}', 'loud' => '{{ orosync_page() }}']);

        $browser->request('GET', '/page/home');
        self::assertSame('off', $browser->getCrawler()->filterXPath('//orosync-page')->attr('warnings'));
        $browser->request('GET', '/page/loud');
        self::assertNull($browser->getCrawler()->filterXPath('//orosync-page')->attr('warnings'));
    }

    /** @param float|string|null $start null: its server does not say it */
    private static function request(float|string|null $start, string $query = ''): Request
    {
        $request = Request::create("http://shop.example.com/page/home$query", 'GET', [], [], [], ['REQUEST_TIME_FLOAT' => $start]);
        if (null === $start) {
            $request->server->remove('REQUEST_TIME_FLOAT');
        }

        return $request;
    }

    private static function startOf(Response $page): int
    {
        $element = (new Crawler($page->getContent()))->filterXPath('//orosync-page');

        return json_decode($element->attr('rendered'), true, 512, \JSON_THROW_ON_ERROR)['at'];
    }

    /** @return list<string> */
    private static function tagsIn(KernelBrowser $browser): array
    {
        $element = $browser->getCrawler()->filterXPath('//orosync-page');
        self::assertCount(1, $element, (string) $browser->getResponse()->getContent());

        return json_decode($element->attr('tags'), true, 512, \JSON_THROW_ON_ERROR);
    }

    /** @param array<string, string> $templates by their names */
    private function browser(array $templates, string $environment = 'dev'): KernelBrowser
    {
        $project = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', 'orosync: {test: true}')
            ->write('config/packages/fragments.yaml', 'framework: {fragments: true, test: true}')
            ->write('config/routes/orosync.yaml', "orosync: {resource: '@OrosyncLiveBundle/config/routes.php'}")
            ->write('config/routes/page.yaml', "page: {path: '/page/{name}', controller: App\\Controller\\PageController::page}")
            ->write('src/Controller/PageController.php', <<<'PHP'
                <?php

                namespace App\Controller;

                use Symfony\Component\HttpFoundation\Request;
                use Symfony\Component\HttpFoundation\Response;
                use Twig\Environment;

                final class PageController
                {
                    public function __construct(private readonly Environment $twig)
                    {
                    }

                    public function page(string $name, Request $request): Response
                    {
                        $html = $this->twig->render("$name.html.twig");

                        $response = new Response($html, 200, $request->query->has('length') ? ['Content-Length' => \strlen($html)] : []);

                        return $request->query->has('shared') ? $response->setSharedMaxAge(3600) : $response;
                    }

                    public function slow(): Response
                    {
                        usleep(250_000);

                        return $this->part();
                    }

                    public function part(): Response
                    {
                        return new Response($this->twig->render('part.html.twig'));
                    }
                }
                PHP);
        // Twig derives class names from the paths of templates: otherwise classes of another test would be used.
        $directory = basename($project->directory);
        $project->write('config/packages/twig.yaml', "twig: {default_path: '%kernel.project_dir%/$directory'}");
        foreach ($templates as $name => $template) {
            $project->write("$directory/$name.html.twig", $template);
        }
        $this->kernel = $project->boot($environment);

        return new KernelBrowser($this->kernel);
    }
}
