<?php

declare(strict_types=1);

namespace Orosync\Tests\Twig;

use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/** The HTML of orosync_page(). */
final class PageElementTest extends ApplicationTestCase
{
    private const ENGLISH = [
        'outdated' => [
            'message' => 'Somebody else has changed this content.',
            'uncertain' => 'This page may be out of date.',
            'reload' => 'Reload the page',
            'dismiss' => 'Dismiss',
        ],
        'maintenance' => [
            'message' => 'The site has gone into maintenance. What you save now may be lost.',
            'dismiss' => 'Dismiss',
        ],
    ];

    public function testAPageContainsItsUserAndItsContentTags(): void
    {
        $this->boot();
        $this->visit('https://shop.example.com/page');
        $this->logIn(new User('ann', 7, null));

        $page = $this->page('{{ orosync_page(["App_Entity_Contact_7"]) }}');

        self::assertSame(
            [
                'url' => 'wss://shop.example.com:8080/ws',
                'ticketUrl' => '/sync/ticket',
                'userName' => 'ann',
                'userId' => 7,
                'role' => 'user',
                'organizationId' => null,
            ],
            $this->json($page, 'client'),
        );
        self::assertSame(['App_Entity_Contact_7'], $this->json($page, 'tags'));
        self::assertSame(self::ENGLISH, $this->json($page, 'texts'));
    }

    public function testAPageContainsTheTimeOfItsRequest(): void
    {
        $this->boot();
        $this->requests()->push(self::startedAt(1_790_000_000.1239));
        $this->requests()->push(self::startedAt(1_790_000_001.5));

        self::assertSame(
            '{"at":1790000000123}',
            $this->page('{{ orosync_page() }}')->getElementsByTagName('orosync-page')->item(0)->getAttribute('rendered'),
            'the main request, not the one of a fragment',
        );
    }

    public function testAPageWithoutARequestHasTheStartTimeOfTheProcess(): void
    {
        $this->boot(['frontend' => '//shop.example.com']);

        self::assertSame(floor(1000 * $_SERVER['REQUEST_TIME_FLOAT']), (float) $this->json($this->page('{{ orosync_page() }}'), 'rendered')['at']);
    }

    public function testAPageWithoutALoginIsLive(): void
    {
        $this->boot();
        $this->visit('http://shop.example.com/page');

        $page = $this->page('{{ orosync_page() }}');

        self::assertSame(['userName' => null, 'role' => 'anonymous'], array_intersect_key($this->json($page, 'client'), ['userName' => 1, 'role' => 1]));
        self::assertSame([], $this->json($page, 'tags'));
    }

    public function testThePageElementWorksWithAStrictContentSecurityPolicy(): void
    {
        $this->boot();
        $this->visit('http://shop.example.com/page');

        $page = $this->page('{{ orosync_page() }}');

        $scripts = $page->getElementsByTagName('script');
        self::assertCount(1, $scripts);
        self::assertSame('', $scripts->item(0)->textContent);
        self::assertSame('module', $scripts->item(0)->getAttribute('type'));
        self::assertSame('/bundles/orosynclive/page.js', $scripts->item(0)->getAttribute('src'));
        self::assertSame('/bundles/orosynclive/flash.css', $page->getElementsByTagName('link')->item(0)->getAttribute('href'));
    }

    public function testTheModuleIsBelowTheBasePath(): void
    {
        $this->boot();
        $server = ['SCRIPT_FILENAME' => '/srv/crm/index.php', 'SCRIPT_NAME' => '/crm/index.php'];
        $this->requests()->push(Request::create('http://shop.example.com/crm/page', 'GET', [], [], [], $server));

        $script = $this->page('{{ orosync_page() }}')->getElementsByTagName('script')->item(0);

        self::assertSame('/crm/bundles/orosynclive/page.js', $script->getAttribute('src'));
    }

    public function testTagsAreEscapedInThePage(): void
    {
        $this->boot();
        $this->visit('http://shop.example.com/page');

        $tags = ['"><script>alert(1)</script>', "it's", "not \xff UTF-8", 'Straße'];
        $page = $this->page('{{ orosync_page(tags) }}', ['tags' => $tags]);

        self::assertCount(1, $page->getElementsByTagName('script'));
        self::assertSame(['"><script>alert(1)</script>', "it's", "not \u{fffd} UTF-8", 'Straße'], $this->json($page, 'tags'));
    }

    public function testWithoutAnAddressThePageHasNoElement(): void
    {
        $this->boot(['frontend' => '']);

        self::assertSame('', $this->render('{{ orosync_page(["a"]) }}'));
    }

    /** @return iterable<string, array{string, string}> */
    public static function languages(): iterable
    {
        yield 'English' => ['en', 'Reload the page'];
        yield 'German' => ['de', 'Seite neu laden'];
        yield 'German of Austria' => ['de_AT', 'Seite neu laden'];
        yield 'French' => ['fr', 'Recharger la page'];
        yield 'Spanish' => ['es', 'Recargar la página'];
        yield 'Italian' => ['it', 'Ricarica la pagina'];
        yield 'Dutch' => ['nl', 'Pagina opnieuw laden'];
        yield 'Polish' => ['pl', 'Odśwież stronę'];
        yield 'Ukrainian' => ['uk', 'Перезавантажити сторінку'];
        yield 'one that is not there' => ['ja', 'Reload the page'];
    }

    /** @dataProvider languages */
    #[DataProvider('languages')]
    public function testTextsAreInTheLanguageOfThePage(string $locale, string $reload): void
    {
        $this->boot([], [], ['security', 'twig', 'translator']);
        $this->visit('http://shop.example.com/page');
        $this->kernel()->getContainer()->get('translator')->setLocale($locale);

        $texts = $this->json($this->page('{{ orosync_page() }}'), 'texts');

        self::assertSame($reload, $texts['outdated']['reload']);
        foreach ($texts as $kind => $words) {
            foreach ($words as $name => $text) {
                $isEnglish = $text === self::ENGLISH[$kind][$name];
                self::assertSame(\in_array($locale, ['en', 'ja'], true), $isEnglish, "$kind $name: $text");
            }
        }
    }

    private static function startedAt(float $seconds): Request
    {
        return Request::create('http://shop.example.com/page', 'GET', [], [], [], ['REQUEST_TIME_FLOAT' => $seconds]);
    }

    private function visit(string $url): void
    {
        $this->requests()->push(Request::create($url));
    }

    private function requests(): RequestStack
    {
        return $this->kernel()->getContainer()->get('request_stack');
    }

    /** @param array<string, mixed> $context */
    private function page(string $template, array $context = []): \DOMDocument
    {
        $document = new \DOMDocument();
        $document->loadHTML('<?xml encoding="UTF-8">' . $this->render($template, $context), \LIBXML_NOERROR);

        return $document;
    }

    private function json(\DOMDocument $page, string $attribute): mixed
    {
        return json_decode($page->getElementsByTagName('orosync-page')->item(0)->getAttribute($attribute), true, 512, \JSON_THROW_ON_ERROR);
    }

    /** @param array<string, mixed> $context */
    private function render(string $template, array $context = []): string
    {
        return $this->kernel()->getContainer()->get('twig')->createTemplate($template)->render($context);
    }
}
