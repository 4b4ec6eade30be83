<?php

declare(strict_types=1);

namespace Orosync\Tests\Twig;

use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\HttpFoundation\Request;

final class TwigFunctionsTest extends ApplicationTestCase
{
    public function testAPageGetsWhatItsClientNeeds(): void
    {
        $this->boot();
        $this->visit('https://shop.example.com/page');
        $this->logIn(new User('ann', 7, null));

        self::assertSame(
            ['url' => 'wss://shop.example.com:8080/ws', 'ticketUrl' => '/sync/ticket', 'userName' => 'ann', 'userId' => 7],
            json_decode($this->render('{{ orosync_client_config()|json_encode|raw }}'), true),
        );
    }

    public function testAPageOfNobodySaysSo(): void
    {
        $this->boot();
        $this->visit('http://shop.example.com/page');

        self::assertSame(
            ['url' => 'ws://shop.example.com:8080/ws', 'ticketUrl' => '/sync/ticket', 'userName' => null, 'userId' => null],
            json_decode($this->render('{{ orosync_client_config()|json_encode|raw }}'), true),
        );
    }

    public function testOrosTemplatesGetHostPortAndPath(): void
    {
        $this->boot([], ['websocket_frontend_host' => '*', 'websocket_frontend_port' => 443, 'websocket_frontend_path' => 'ws']);
        $this->visit('https://shop.example.com/page');

        self::assertSame('shop.example.com|443|ws|1', $this->render('{% set ws = get_ws_config() %}{{ ws.host }}|{{ ws.port }}|{{ ws.path }}|{{ ws.secure }}'));
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testAPageGetsItsCodeAlsoWhileTheServerIsDown(): void
    {
        $publisher = $this->boot(['backend' => '//127.0.0.1:1'], [], ['twig', 'publisher', 'tickets'])->get(PublisherInterface::class);
        self::assertSame('yes', $this->render('{{ check_ws() ? "yes" : "no" }}'), 'while nobody has tried');
        $publisher->publish('oro/ping', 'x');
        $publisher->flush(0.2);

        self::assertNotSame('connected', $publisher->status()->state);
        self::assertSame('yes', $this->render('{{ check_ws() ? "yes" : "no" }}'), 'while nobody answers');
    }

    public function testAPageDoesNotConnectWhereItCannot(): void
    {
        foreach (
            [
            'no frontend' => [['frontend' => ''], []],
            'a wrong frontend' => [['frontend' => '%env(LIVE_FRONTEND)%'], ['env(LIVE_FRONTEND)' => 'unix:/run/x.sock']],
            'no backend' => [['backend' => ''], []],
            ] as $case => [$orosync, $parameters]
        ) {
            $this->boot($orosync, $parameters, ['security', 'twig', 'publisher', 'tickets']);

            self::assertSame('no', $this->render('{{ check_ws() ? "yes" : "no" }}'), $case);
            self::assertSame('null', $this->render('{{ orosync_client_config()|json_encode }}'), $case);
        }
    }

    public function testAWrongFrontendIsLogged(): void
    {
        $this->boot(['frontend' => '%env(LIVE_FRONTEND)%'], ['env(LIVE_FRONTEND)' => 'unix:/run/x.sock']);
        $this->render('{{ check_ws() }}');

        self::assertCount(1, $this->logger()->lines('error: Pages do not connect: orosync.frontend: "/run/x.sock" is a socket, which no browser can reach.'));
    }

    public function testAPageIsTaggedWithWhatItShowsAndWhatThatRefersTo(): void
    {
        $this->boot();
        $manager = $this->manager();
        $contact = new Contact('ann');
        $contact->company = new Company('acme');
        $manager->persist($contact);
        $manager->flush();

        self::assertSame(
            'Orosync_Tests_Application_Entity_Contact_1,Orosync_Tests_Application_Entity_Company_1',
            $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $contact]),
        );
        self::assertSame(
            'Orosync_Tests_Application_Entity_Contact_1,Orosync_Tests_Application_Entity_Contact_type_collection',
            $this->render('{{ oro_sync_get_content_tags(data, true, false)|join(",") }}', ['data' => $contact]),
        );
        self::assertSame('', $this->render('{{ oro_sync_get_content_tags(null)|join(",") }}'));
    }

    public function testAnApplicationsOwnGeneratorJoins(): void
    {
        $this->boot([], [], ['twig', 'own tags']);

        self::assertSame('day_20260501', $this->render('{{ oro_sync_get_content_tags(date("2026-05-01"))|join(",") }}'));
        self::assertSame('menu_1', $this->render('{{ oro_sync_get_content_tags({name: "menu", params: [1]})|join(",") }}'));
    }

    private function visit(string $url): void
    {
        $this->kernel()->getContainer()->get('request_stack')->push(Request::create($url));
    }

    /** @param array<string, mixed> $context */
    private function render(string $template, array $context = []): string
    {
        return $this->kernel()->getContainer()->get('twig')->createTemplate($template)->render($context);
    }
}
