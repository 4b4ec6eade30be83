<?php

declare(strict_types=1);

namespace Orosync\Tests\Topic;

use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\ApplicationTestCase;
use Orosync\Tests\FreshApplication\Project;
use Orosync\Tests\FreshApplication\WampClient;
use Orosync\Tests\Wait;
use Orosync\Topic\DeclaredTopics;
use Orosync\Topic\TopicPattern;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;
use Symfony\Component\Process\Process;

/**
 * Patterns match the same topics in PHP and in the server.
 *
 * @group extension
 *
 * @requires extension orosync
 */
#[Group('extension')]
#[RequiresPhpExtension('orosync')]
final class TopicPatternTest extends ApplicationTestCase
{
    private const PATTERNS = ['a/b', 'a/{x}', 'a/{x:int}', 'a/{x:int_or_star}', '{x}/b', 'u_{x:int}_o_{y:int}', 'a/{{x}}', 'a/{{{x:int}}}', 'é.+/{x}'];
    private const TOPICS = [
        'a/b', 'a/7', 'a/07', 'a/*', 'a/', 'a', 'a/b/c', 'x/b', 'u_1_o_2', 'u_1_o_', 'u_1_o_2x', 'a/{x}', 'a/{7}', 'a/{{x}}', 'é.+/b', 'éxx/b', "a/b c", 'A/B',
    ];

    private ?Process $server = null;

    protected function tearDown(): void
    {
        $this->server?->stop();
        parent::tearDown();
    }

    public function testPatternsMatchTheSameTopicsAsInTheServer(): void
    {
        $binary = Project::serverBinary();
        [$port] = Project::freePorts(1);
        $application = $this->boot(['backend' => '//127.0.0.1:' . $port], [], ['publisher']);
        $rules = array_map(
            static fn (int $index, string $pattern): string => sprintf('{pattern = %s, subscribe = "anyone"}', json_encode("$index/$pattern", 320)),
            array_keys(self::PATTERNS),
            self::PATTERNS,
        );
        $this->server = new Process([$binary, 'serve', '--bind', '127.0.0.1:' . $port], null, [
            'OROSYNC_ADMIN_BIND' => '',
            'OROSYNC_TOPICS' => '[' . implode(', ', $rules) . ']',
            'OROSYNC_LIMITS__SUBSCRIPTIONS' => '1000',
            'OROSYNC_LIMITS__MESSAGE_BURST' => '1000',
        ] + $application->get('orosync.shared_secret')->forServer());
        $this->server->start();
        Wait::until(
            fn (): bool => str_contains($this->server->getErrorOutput(), 'is ready'),
            fn (): string => $this->server->getErrorOutput(),
        );
        $browser = new WampClient('ws://127.0.0.1:' . $port . '/ws');
        $expected = [];
        foreach (self::PATTERNS as $index => $pattern) {
            foreach (self::TOPICS as $topic) {
                $browser->subscribe("$index/$topic");
                if ((new TopicPattern("$index/$pattern"))->matches("$index/$topic")) {
                    $expected[] = "$index/$topic";
                }
            }
        }
        $browser->subscribe('oro/ping');
        $publisher = $application->get(PublisherInterface::class);
        foreach (self::PATTERNS as $index => $pattern) {
            foreach (self::TOPICS as $topic) {
                $publisher->publish("$index/$topic", 1);
            }
        }
        $publisher->publish('oro/ping', 1);

        self::assertGreaterThan(20, \count($expected));
        foreach ([...$expected, 'oro/ping'] as $topic) {
            self::assertSame($topic, $browser->next()[0]);
        }
    }

    public function testTheServerHasTheBuiltInTopics(): void
    {
        $application = $this->boot(['test' => true], [], ['publisher']);
        $shown = new Process([Project::serverBinary(), 'check-config'], null, $application->get('orosync.shared_secret')->forServer());
        $shown->mustRun();
        preg_match_all('~^# +(\S+) +subscribe ~m', $shown->getOutput(), $patterns);

        self::assertSame($patterns[1], DeclaredTopics::BUILT_IN);
    }
}
