<?php

declare(strict_types=1);

namespace Orosync\Tests\Twig;

use Doctrine\Common\Collections\ArrayCollection;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Tools\Pagination\Paginator;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Twig\LivePage;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\Form\Extension\Core\Type\FormType;
use Symfony\Component\Form\Forms;
use Symfony\Component\HttpFoundation\Request;

final class TwigFunctionsTest extends ApplicationTestCase
{
    public function testThePageHasTheClientsSettings(): void
    {
        $this->boot();
        $this->visit('https://shop.example.com/page');
        $this->logIn(new User('ann', 7, null));

        self::assertSame(
            ['url' => 'wss://shop.example.com:8080/ws', 'ticketUrl' => '/sync/ticket', 'userName' => 'ann', 'userId' => 7],
            json_decode($this->render('{{ orosync_client_config()|json_encode|raw }}'), true),
        );
    }

    public function testAPageWithoutAUserIsAnonymous(): void
    {
        $this->boot();
        $this->visit('http://shop.example.com/page');

        self::assertSame(
            ['url' => 'ws://shop.example.com:8080/ws', 'ticketUrl' => '/sync/ticket', 'userName' => null, 'userId' => null],
            json_decode($this->render('{{ orosync_client_config()|json_encode|raw }}'), true),
        );
    }

    public function testGetWsConfigReturnsHostPortAndPath(): void
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
    public function testAPageIncludesTheClientEvenIfTheServerIsDown(): void
    {
        $publisher = $this->boot(['backend' => '//127.0.0.1:1'], [], ['twig', 'publisher', 'tickets'])->get(PublisherInterface::class);
        self::assertSame('yes', $this->render('{{ check_ws() ? "yes" : "no" }}'), 'while nobody has tried');
        $publisher->publish('oro/ping', 'x');
        $publisher->flush(0.2);

        self::assertNotSame('connected', $publisher->status()->state);
        self::assertSame('yes', $this->render('{{ check_ws() ? "yes" : "no" }}'), 'while nobody answers');
    }

    public function testAPageThatCannotConnectDoesNotIncludeTheClient(): void
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

    public function testAnInvalidFrontendIsLogged(): void
    {
        $this->boot(['frontend' => '%env(LIVE_FRONTEND)%'], ['env(LIVE_FRONTEND)' => 'unix:/run/x.sock']);
        $this->render('{{ check_ws() }}');

        self::assertCount(1, $this->logger()->lines('error: Pages do not connect: orosync.frontend: "/run/x.sock" is a socket, which browsers cannot reach.'));
    }

    public function testAPageHasTheTagsOfItsEntitiesAndTheirReferences(): void
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

    /** @return iterable<string, array{\Closure(list<Contact>, EntityManagerInterface): mixed}> */
    public static function lists(): iterable
    {
        yield 'a list' => [static fn (array $contacts): array => $contacts];
        yield 'a map' => [static fn (array $contacts): array => ['first' => $contacts[0], 'second' => $contacts[1]]];
        yield 'one with gaps' => [static fn (array $contacts): array => [$contacts[0], null, $contacts[1]]];
        yield 'a collection' => [static fn (array $contacts): ArrayCollection => new ArrayCollection($contacts)];
        yield 'a paginator' => [static fn (array $contacts, EntityManagerInterface $manager): Paginator => new Paginator(
            $manager->createQuery('SELECT contact FROM ' . Contact::class . ' contact ORDER BY contact.id'),
        )];
    }

    /** @dataProvider lists */
    #[DataProvider('lists')]
    public function testAListHasTheTagsOfItsItems(\Closure $list): void
    {
        $this->boot();
        $manager = $this->manager();
        $contacts = [new Contact('ann'), new Contact('ben')];
        array_map($manager->persist(...), $contacts);
        $manager->flush();

        self::assertSame(
            'Orosync_Tests_Application_Entity_Contact_1,Orosync_Tests_Application_Entity_Contact_2',
            $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $list($contacts, $manager)]),
        );
        self::assertSame(
            'Orosync_Tests_Application_Entity_Contact_1,Orosync_Tests_Application_Entity_Contact_type_collection,Orosync_Tests_Application_Entity_Contact_2',
            $this->render('{{ oro_sync_get_content_tags(data, true)|join(",") }}', ['data' => $list($contacts, $manager)]),
        );
    }

    public function testAnEmptyListHasNoTags(): void
    {
        $this->boot();

        self::assertSame('', $this->render('{{ oro_sync_get_content_tags([])|join(",") }}'));
        self::assertSame('', $this->render('{{ oro_sync_get_content_tags([null])|join(",") }}'));
    }

    public function testAClassHasItsCollectionTag(): void
    {
        $this->boot();

        self::assertSame(
            'Orosync_Tests_Application_Entity_Contact_type_collection',
            $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => Contact::class]),
        );
    }

    public function testAFormHasTheTagsOfItsEntity(): void
    {
        $this->boot();
        $manager = $this->manager();
        $manager->persist($contact = new Contact('ann'));
        $manager->flush();
        $forms = Forms::createFormFactory();

        foreach ([$contact, null] as $data) {
            $form = $forms->createBuilder(FormType::class, $data, ['data_class' => Contact::class])->add('name')->getForm();
            $tag = null === $data ? '' : 'Orosync_Tests_Application_Entity_Contact_1';
            foreach ([$form, $form->createView()] as $given) {
                self::assertSame($tag, $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $given]));
            }
        }
    }

    public function testAFormWithoutAnEntityHasNoTags(): void
    {
        $this->boot();
        $manager = $this->manager();
        $manager->persist($contact = new Contact('ann'));
        $manager->flush();
        $builder = static fn (mixed $data) => Forms::createFormFactory()->createBuilder(FormType::class, $data);

        foreach ([[['name' => 'menu'], ''], [new User('ann', 7, null), ''], [[$contact, 7], 'Orosync_Tests_Application_Entity_Contact_1']] as [$data, $tags]) {
            $form = $builder($data)->getForm();
            foreach ([$form, $form->createView()] as $given) {
                self::assertSame($tags, $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $given]));
            }
        }
    }

    public function testAnUnsupportedObjectHasNoTags(): void
    {
        $this->boot();
        foreach ([new User('ann', 7, null), [new User('ann', 7, null)]] as $data) {
            self::assertSame('', $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $data]));
        }
    }

    /** @return iterable<string, array{mixed, string}> */
    public static function mistakes(): iterable
    {
        yield 'a class without its backslashes' => ['AppEntityOrder', 'there is no class "AppEntityOrder". Write its full name, in a template with \\\\ for each backslash: \'App\\\\Entity\\\\Order\'.'];
        yield 'a misspelt class' => ['App\Entity\Oder', 'there is no class "App\Entity\Oder". Write its full name.'];
        yield 'a class that is none of Doctrine' => [User::class, sprintf('the class "%s" has no content tags. Give an entity', User::class)];
        yield 'a long name' => [str_repeat('é', 150), 'there is no class "' . str_repeat('é', 100) . '…". Write its full name'];
        yield 'an id' => [7, 'int has no content tags.'];
        yield 'a list of ids' => [[7, 8], 'int has no content tags.'];
        yield 'a list of lists' => [[[new Company('acme')]], 'array has no content tags.'];
        yield 'what can be read once' => [(static fn (): \Generator => yield from [])(), 'Generator has no content tags.'];
        yield 'a list without end' => [new \InfiniteIterator(new \ArrayIterator([new Company('acme')])), 'a list of more than 1000. Name the class of its elements'];
    }

    /** @dataProvider mistakes */
    #[DataProvider('mistakes')]
    public function testInDebugModeAnErrorIsThrown(mixed $data, string $message): void
    {
        $this->boot();

        $this->expectExceptionMessage($message);
        $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}', ['data' => $data]);
    }

    /** @dataProvider mistakes */
    #[DataProvider('mistakes')]
    public function testInProductionAnErrorIsLogged(mixed $data, string $message): void
    {
        $this->boot([], [], ['security', 'twig', 'doctrine', 'no debug']);

        self::assertSame('.', $this->render('{{ oro_sync_get_content_tags(data)|join(",") }}.', ['data' => $data]));
        $lines = $this->logger()->lines('error: A page does not receive changes of some of its content: oro_sync_get_content_tags(): ');
        self::assertCount(1, $lines);
        self::assertStringContainsString($message, $lines[0]);
    }

    public function testAPageWithTooManyTagsLogsAWarning(): void
    {
        $this->boot();
        $tags = array_map(static fn (int $number): string => "tag_$number", range(1, LivePage::MAX_TAGS + 1));
        $this->visit('http://shop.example.com/page');

        $page = $this->render('{{ orosync_page(tags) }}', ['tags' => $tags]);

        self::assertStringContainsString('tag_' . LivePage::MAX_TAGS . '&quot;]', $page);
        self::assertCount(1, $this->logger()->lines('warning: A page shows more than 5000 content tags'));
    }

    public function testACustomTagGeneratorIsUsed(): void
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
