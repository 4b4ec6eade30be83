<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Doctrine\ORM\Tools\SchemaTool;
use Orosync\Tests\Application\ReadableTicketIssuer;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Topic\TopicRule;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;

/** The topics and templates of docs/symfony.md, executed literally in an application with users and Doctrine. */
final class DocumentedTopicsTest extends TestCase
{
    private ?Kernel $kernel = null;

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
    }

    /**
     * @param array<string, string> $rules who may subscribe, by topic
     *
     * @dataProvider recipes
     */
    #[DataProvider('recipes')]
    public function testTheServerGetsTheDeclarationsOfTheDocumentation(string $heading, array $rules): void
    {
        $this->boot(self::application()->write('config/packages/orosync.yaml', self::recipe($heading)->file('config/packages/orosync.yaml')));

        self::assertSame($rules, $this->rules());
    }

    public static function recipes(): iterable
    {
        yield ['A role', ['acme/sales' => 'role:ROLE_SALES', 'acme/help/{ticket}' => 'role:ROLE_SUPPORT,ROLE_SALES']];
        yield ['The owner', ['acme/orders/{uid:int}' => 'owner', 'acme/inbox/{uid}' => 'owner']];
        yield ['A voter', ['acme/order/{order:int}' => 'granted']];
        yield ['A grant', ['acme/project/{id:int}' => 'granted']];
    }

    public function testEveryRecipeIsTested(): void
    {
        preg_match_all('~^### (.+)$~m', self::recipe('Who may subscribe')->text(), $headings);

        self::assertSame($headings[1], array_column(iterator_to_array(self::recipes()), 0));
    }

    public function testTheAttributeDeclaresTheSameAsTheYaml(): void
    {
        $recipe = self::recipe('A voter');
        $this->boot($both = self::application()->write('src/OrderChanged.php', $recipe->phpClass('OrderChanged')));
        self::assertSame(['acme/order/{order:int}' => 'granted'], $this->rules());

        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('"acme/order/{order:int}" is declared twice');
        $this->boot($both->write('config/packages/orosync.yaml', $recipe->file('config/packages/orosync.yaml')), 'prod');
    }

    public function testAVoterDecidesAboutTheOrderInTheTicketRequest(): void
    {
        $this->boot(self::application()->write('src/OrderChanged.php', self::recipe('A voter')->phpClass('OrderChanged')));
        $this->save('App\Entity\Order', 'App\Entity\Order');

        self::assertSame(['acme/order/2'], $this->granted('{"topics":["acme/order/1","acme/order/2","acme/order/3"]}'));
    }

    public function testAGrantIsFoundByItsInterface(): void
    {
        $recipe = self::recipe('A grant');
        $this->boot(self::application()
            ->write('config/packages/orosync.yaml', $recipe->file('config/packages/orosync.yaml'))
            ->write('src/ProjectTopics.php', $recipe->phpClass('ProjectTopics')));

        self::assertSame(['acme/project/3', 'acme/project/5'], $this->granted(''));
    }

    public function testTheTemplatesOfTheDocumentationTagTheirContent(): void
    {
        $this->boot(self::application());
        [$contact, $first, $second] = $this->save('App\Entity\Contact', 'App\Entity\Order', 'App\Entity\Order');
        $templates = self::recipe('Tell others that content was changed')->file('templates/contact/edit.html.twig');
        self::assertSame(3, substr_count($templates, 'oro_sync_get_content_tags('));
        $twig = $this->kernel->getContainer()->get('seen.twig');
        $twig->createTemplate($templates)->render(['contact' => $contact, 'orders' => [$first, $second]]);

        self::assertSame(
            ['App_Entity_Contact_1', 'App_Entity_Order_1', 'App_Entity_Order_2', 'App_Entity_Order_type_collection'],
            $this->kernel->getContainer()->get('seen.page')->tags(),
        );
    }

    private static function recipe(string $heading): Example
    {
        return new Example('docs/symfony.md', $heading);
    }

    /** An application with orders, contacts and projects, and a voter that grants every second order. */
    private static function application(): Project
    {
        $entity = <<<'PHP'
            <?php

            namespace App\Entity;

            use Doctrine\ORM\Mapping as ORM;

            #[ORM\Entity, ORM\Table(name: 'table_of_%1$s')]
            class %1$s
            {
                #[ORM\Id, ORM\GeneratedValue, ORM\Column]
                public ?int $id = null;
            }

            PHP;

        return (new Project())->withBundle()->withDoctrine()->withUsers('ann')
            ->write('config/routes/orosync.yaml', "orosync: {resource: '@OrosyncLiveBundle/config/routes.php'}\n")
            ->write('config/packages/seen.yaml', sprintf(<<<'YAML'
                framework: {session: {storage_factory_id: session.storage.factory.mock_file}}
                services:
                    %s:
                    %s: '@%1$s'
                    seen.topics: {alias: orosync.declared_topics, public: true}
                    seen.page: {alias: orosync.live_page, public: true}
                    seen.twig: {alias: twig, public: true}
                YAML, ReadableTicketIssuer::class, TicketIssuerInterface::class))
            ->write('src/Entity/Order.php', sprintf($entity, 'Order'))
            ->write('src/Entity/Contact.php', sprintf($entity, 'Contact'))
            ->write('src/Repository/ProjectRepository.php', <<<'PHP'
                <?php

                namespace App\Repository;

                use Symfony\Component\Security\Core\User\UserInterface;

                class ProjectRepository
                {
                    public function idsOf(UserInterface $user): array
                    {
                        return [3, 5];
                    }
                }

                PHP)
            ->write('src/Security/OrderVoter.php', <<<'PHP'
                <?php

                namespace App\Security;

                use App\Entity\Order;
                use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
                use Symfony\Component\Security\Core\Authorization\Voter\VoterInterface;

                final class OrderVoter implements VoterInterface
                {
                    public function vote(TokenInterface $token, mixed $subject, array $attributes, mixed $vote = null): int
                    {
                        return match (true) {
                            ['VIEW'] !== $attributes || !$subject instanceof Order => self::ACCESS_ABSTAIN,
                            0 === $subject->id % 2 => self::ACCESS_GRANTED,
                            default => self::ACCESS_DENIED,
                        };
                    }
                }

                PHP);
    }

    private function boot(Project $project, string $environment = 'dev'): void
    {
        $this->kernel?->shutdown();
        $this->kernel = $project->boot($environment);
    }

    /** @return array<string, string> */
    private function rules(): array
    {
        $rules = $this->kernel->getContainer()->get('seen.topics')->rules();

        return array_combine(
            array_map(static fn (TopicRule $rule): string => $rule->pattern, $rules),
            array_map(static fn (TopicRule $rule): string => $rule->subscribe, $rules),
        );
    }

    /** @return list<object> one of each class, saved */
    private function save(string ...$classes): array
    {
        $manager = $this->kernel->getContainer()->get('doctrine')->getManager();
        (new SchemaTool($manager))->createSchema(array_map($manager->getClassMetadata(...), array_unique($classes)));
        $saved = array_map(static fn (string $class): object => new $class(), $classes);
        array_map($manager->persist(...), $saved);
        $manager->flush();

        return $saved;
    }

    /** @return list<string> the topics that the ticket of this request grants */
    private function granted(string $body): array
    {
        $browser = new KernelBrowser($this->kernel);
        $browser->disableReboot();
        $browser->request('POST', '/sync/ticket', [], [], ['PHP_AUTH_USER' => 'ann', 'PHP_AUTH_PW' => 'demo'], $body);
        $answer = json_decode((string) $browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR);

        return json_decode($answer['ticket'], true, 512, \JSON_THROW_ON_ERROR)['claims']['topics'] ?? [];
    }
}
