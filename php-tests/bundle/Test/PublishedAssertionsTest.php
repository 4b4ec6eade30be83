<?php

declare(strict_types=1);

namespace Orosync\Tests\Test;

use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Test\PublishedAssertions;
use Orosync\Tests\FreshApplication\Kernel;
use Orosync\Tests\FreshApplication\Project;
use PHPUnit\Framework\ExpectationFailedException;
use Symfony\Bundle\FrameworkBundle\Test\WebTestCase;
use Symfony\Component\HttpKernel\KernelInterface;

/** An application's own test, as in docs/symfony.md. */
final class PublishedAssertionsTest extends WebTestCase
{
    use PublishedAssertions;

    private static Project $project;

    public static function setUpBeforeClass(): void
    {
        self::$project = (new Project())->withBundle()
            ->write('config/packages/orosync.yaml', <<<'YAML'
                when@test:
                    orosync:
                        test: true
                YAML)
            ->write('config/packages/other.yaml', 'when@other: {framework: {test: true}}')
            ->write('config/routes/orosync.yaml', 'orosync: {resource: "@OrosyncLiveBundle/config/routes.php"}')
            ->write('config/routes/ship.yaml', 'ship: {path: "/ship/{number}", controller: App\Controller\ShipController}')
            ->write('config/routes/page.yaml', <<<'YAML'
                page:
                    path: /page
                    controller: Symfony\Bundle\FrameworkBundle\Controller\TemplateController
                    defaults: {template: 'page.html.twig'}
                YAML)
            ->write('templates/page.html.twig', '{{ check_ws() ? "may connect" : "may not" }}')
            ->write('src/Controller/ShipController.php', <<<'PHP'
                <?php

                namespace App\Controller;

                use Orosync\Publishing\PublisherInterface;
                use Symfony\Component\HttpFoundation\Response;

                final class ShipController
                {
                    public function __invoke(PublisherInterface $publisher, int $number): Response
                    {
                        $publisher->publish('acme/orders/7', ['shipped' => $number]);

                        return new Response('shipped');
                    }
                }
                PHP);
    }

    public function testMessagesOfARequestAreFoundByTopicAndPayload(): void
    {
        self::createClient()->request('GET', '/ship/5');

        self::assertPublished('acme/orders/7');
        self::assertPublished('acme/orders/7', static fn (array $payload): bool => 5 === $payload['shipped']);
        self::assertNothingPublished('acme/invoices/7');
        self::assertCount(1, self::publishedMessages());
    }

    public function testAFailedAssertionShowsThePublishedMessages(): void
    {
        self::createClient()->request('GET', '/ship/5');

        $message = self::failure(static fn () => self::assertPublished('acme/orders/8'));
        self::assertStringContainsString('Failed asserting that a message was published to "acme/orders/8".', $message);
        self::assertStringContainsString("Published:\n  acme/orders/7  {\"shipped\":5}", $message);

        $message = self::failure(static fn () => self::assertPublished('acme/orders/7', static fn (array $payload): bool => 6 === $payload['shipped']));
        self::assertStringContainsString('was published to "acme/orders/7" with a payload that the test accepts', $message);
        self::assertStringContainsString('acme/orders/7  {"shipped":5}', $message);

        $message = self::failure(static fn () => self::assertNothingPublished());
        self::assertStringContainsString('Failed asserting that nothing was published.', $message);
        self::assertStringContainsString('acme/orders/7  {"shipped":5}', $message);
    }

    public function testAFailedAssertionShowsRefusedMessages(): void
    {
        self::bootKernel();
        self::assertNothingPublished();
        self::assertStringContainsString('Nothing was published.', self::failure(static fn () => self::assertPublished('a')));

        self::getContainer()->get(PublisherInterface::class)->publish('a', \NAN);
        self::assertStringContainsString(
            "Nothing was published.\nRefused:\n  \"a\": the payload cannot be encoded as JSON",
            self::failure(static fn () => self::assertPublished('a')),
        );
    }

    public function testALongListIsTruncated(): void
    {
        self::bootKernel();
        $publisher = self::getContainer()->get(PublisherInterface::class);
        for ($i = 0; $i < 25; ++$i) {
            $publisher->publish('a', str_repeat('é', 300));
        }
        $message = self::failure(static fn () => self::assertPublished('b'));

        self::assertStringContainsString('… (602 bytes)', $message);
        self::assertStringEndsWith('  and 5 more', trim($message));
    }

    public function testMessagesOfTwoRequestsAreKeptIfTheKernelIsNotRebooted(): void
    {
        $client = self::createClient();
        $client->disableReboot();
        $client->request('GET', '/ship/5');
        $client->request('GET', '/ship/6');
        self::assertCount(2, self::publishedMessages());

        self::getContainer()->get(InMemoryPublisher::class)->clear();
        self::assertNothingPublished();
    }

    public function testACallableWithoutAReturnValueIsAnError(): void
    {
        self::createClient()->request('GET', '/ship/5');
        $this->expectException(\LogicException::class);
        $this->expectExceptionMessage('The callable of assertPublished("acme/orders/7") returned null. Return true');

        self::assertPublished('acme/orders/7', static function (): void {
        });
    }

    public function testAPageMayConnectAsInProduction(): void
    {
        $client = self::createClient();
        $client->request('GET', '/page');

        self::assertSame('may connect', $client->getResponse()->getContent());
    }

    public function testWithoutTheSettingTheAssertionSaysWhatToConfigure(): void
    {
        self::bootKernel(['environment' => 'other']);
        $this->expectException(\LogicException::class);
        $this->expectExceptionMessage('orosync.test is off in this environment. Add to config/packages/orosync.yaml:');

        self::assertNothingPublished();
    }

    protected static function createKernel(array $options = []): KernelInterface
    {
        return new Kernel(self::$project->directory, $options['environment'] ?? 'test');
    }

    /** @param callable(): void $assertion */
    private static function failure(callable $assertion): string
    {
        try {
            $assertion();
        } catch (ExpectationFailedException $e) {
            return $e->getMessage();
        }
        self::fail('The assertion should fail.');
    }
}
