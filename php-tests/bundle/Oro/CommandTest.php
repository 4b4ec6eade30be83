<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Orosync\Oro\Topics\MigrateCommand;
use Orosync\Oro\Topics\RouteTranslator;
use Symfony\Component\Console\Tester\CommandTester;
use Symfony\Component\DependencyInjection\ParameterBag\ContainerBag;

final class CommandTest extends OroTestCase
{
    private const STOCK = "# Topics and origins of this application. Written by: bin/console orosync:topics:export\n"
        . '# Built into the server, therefore omitted: oro/ping, oro/data/update, oro/maintenance, '
        . 'oro/email_event/{user_id:int}/{organization_id:int_or_star}, oro/attribute_import/{user_id:int}/{config_model_id:int}, '
        . 'oro/imap_sync_fail/{user_id:int_or_star}, oro/reminder_remind/{user_id:int}, oro/message_queue_heartbeat, '
        . "oro/outdated_user_page\n\n[auth]\n"
        . "allowed_origins = [\"crm.example.com\", \"localhost\", \"127.0.0.1\"]\n";

    public function testWithoutTopicsOfTheApplicationOnlyOriginsAreExported(): void
    {
        $this->boot();
        $console = $this->console();

        self::assertSame(0, $console->run(['command' => 'orosync:topics:export'], ['capture_stderr_separately' => true]));
        self::assertSame(self::STOCK, $console->getDisplay(true));
        self::assertSame('', $console->getErrorOutput(true));
    }

    public function testBroadcastAndSecuredHandlersAreExportedAndOthersAreReported(): void
    {
        $this->boot([], ['acme']);
        $console = $this->console();
        $console->run(['command' => 'orosync:topics:export'], ['capture_stderr_separately' => true]);

        $rule = static fn (string $origin, string $pattern, string $subscribe): string
            => "\n# $origin\n[[topics]]\npattern = \"$pattern\"\nsubscribe = \"$subscribe\"\npublish = \"publisher\"\n";
        self::assertSame(
            self::STOCK
            . $rule('acme.chat, Orosync\Tests\Oro\Acme\ChatTopic', 'acme/chat/{room}', 'granted')
            . $rule('acme.project, Orosync\Tests\Oro\Acme\ProjectTopic', 'acme/project/{id:int}', 'granted')
            . $rule('acme.ticker, Orosync\Tests\Oro\Acme\TickerTopic', 'acme/ticker', 'user')
            . $rule('acme.all_news, Oro\Bundle\SyncBundle\Topic\BroadcastTopic', 'acme/news', 'user')
            . $rule('acme.inbox, Oro\Bundle\SyncBundle\Topic\SecuredTopic', 'acme/inbox/user_{user_id:int}/{folder}', 'owner')
            . $rule('acme.nobodys, Oro\Bundle\SyncBundle\Topic\SecuredTopic', 'acme/nobodys/{folder}', 'nobody'),
            $console->getDisplay(true),
        );
        $findings = array_filter(explode("\n", $console->getErrorOutput(true)));
        $starts = [
            'Orosync\Tests\Oro\Acme\BrokenTopic: cannot be built (service acme.broken): the event loop is missing',
            'Orosync\Tests\Oro\Acme\ChatTopic::onSubscribe(): decides who may subscribe.',
            'Orosync\Tests\Oro\Acme\ChatTopic::onPublish(): reads or changes messages;',
            'Orosync\Tests\Oro\Acme\ChatTopic::onUnSubscribe(): is not called',
            'Orosync\Tests\Oro\Acme\ProjectTopic::secure(): decides who may subscribe.',
            'Orosync\Tests\Oro\Acme\ProjectTopic::onPush(): was called by a pusher;',
            'Orosync\Tests\Oro\Acme\TickerTopic::registerPeriodicTimer(): ran in the server;',
            'route acme.news (acme/news/{language}): {language} is "[a-z]{2}": the server supports whole segments',
            'route acme.nobodys (acme/nobodys/{folder}): allows the user of {user_id}, which the channel lacks',
            'route acme.gone (acme/gone): has no handler "acme.gone"',
            'route acme.maybe (acme/maybe/{page}): {page} is optional.',
        ];
        self::assertSame($starts, array_map(
            static fn (string $line, ?string $start): string => substr($line, 0, \strlen((string) $start)),
            array_values($findings),
            $starts,
        ));
    }

    public function testARenamedImapHandlerIsExportedAsTwoRules(): void
    {
        StandIns::register();
        $route = new \Gos\Bundle\PubSubRouterBundle\Router\Route('acme/fail/{user_id}', 'x', [], ['user_id' => '\d+|\*']);
        $rules = (new RouteTranslator())->translate('acme.fail', $route, \Oro\Bundle\ImapBundle\Topic\SyncFailTopic::class)->rules;

        self::assertSame(['acme/fail/*' => 'user', 'acme/fail/{user_id:int}' => 'owner'], array_column($rules, 'subscribe', 'pattern'));
    }

    public function testALiteralBraceIsEscaped(): void
    {
        StandIns::register();
        $route = new \Gos\Bundle\PubSubRouterBundle\Router\Route('acme/{a-b}/{room}/{', 'acme.odd');
        $rules = (new RouteTranslator())->translate('acme.odd', $route, \Oro\Bundle\SyncBundle\Topic\BroadcastTopic::class)->rules;

        self::assertSame(['acme/{{a-b}}/{room}/{{'], array_column($rules, 'pattern'));
    }

    public function testAnUnrestrictedPartOfASegmentIsReported(): void
    {
        $route = new \Gos\Bundle\PubSubRouterBundle\Router\Route('acme/user_{name}', 'x');
        $translation = (new RouteTranslator())->translate('acme.user', $route, \Oro\Bundle\SyncBundle\Topic\BroadcastTopic::class);

        self::assertSame([], $translation->rules);
        self::assertSame('{name} matches any text within a segment, which the server does not support. The topic is omitted.', $translation->findings[0]->advice);
    }

    public function testACheckWithoutAServerFailsAndReportsTheAddress(): void
    {
        $this->boot();
        $console = $this->console();

        self::assertSame(1, $console->run(['command' => 'orosync:topics:export', '--check' => true, '--server' => 'http://127.0.0.1:1']));
        self::assertStringContainsString('No answer from http://127.0.0.1:1/topics', $console->getDisplay(true));
    }

    public function testTheCheckConnectsToTheServerOfTheApplication(): void
    {
        // A port that only root may listen on.
        $this->boot(['server' => ['bind' => '//127.0.0.1:1']]);
        $console = $this->console();

        self::assertSame(1, $console->run(['command' => 'orosync:topics:export', '--check' => true]));
        self::assertStringContainsString('No answer from http://127.0.0.1:2/topics', $console->getDisplay(true));
    }

    public function testTheCommandHasTheNameOfOrosServer(): void
    {
        $this->boot();
        $application = new \Symfony\Bundle\FrameworkBundle\Console\Application($this->container()->get('kernel'));

        self::assertSame('orosync:server', $application->find('gos:websocket:server')->getName());
        self::assertFalse($application->has('orosync:maintenance'), 'Oro has its own maintenance mode');
    }

    public function testTheCommandsUseOrosParameters(): void
    {
        $this->boot([], [], ['websocket_backend_dsn' => 'tcp://127.0.0.1:1', 'websocket_frontend_dsn' => '//*:443/ws']);
        $console = $this->console();

        self::assertSame(1, $console->run(['command' => 'orosync:check', '--server' => 'http://127.0.0.1:1', '--page' => 'https://crm.example.com/']));
        $shown = $console->getDisplay(true);
        self::assertStringContainsString('OK      endpoint   ws://127.0.0.1:1/ (websocket_backend_dsn)', $shown);
        self::assertStringContainsString('ERROR   ticket     no connection to ws://127.0.0.1:1/.', $shown);
        self::assertStringContainsString('a page of https://crm.example.com connects to wss://crm.example.com:443/ws (websocket_frontend_dsn)', $shown);
        foreach (['orosync:watch', 'orosync:publish', 'orosync:disconnect', 'orosync:ticket'] as $name) {
            self::assertSame(0, $console->run(['command' => 'help', 'command_name' => $name]), $console->getDisplay());
        }
    }

    public function testMigrateReportsTranslatedTopicsAndOpenDecisions(): void
    {
        $this->boot([], ['acme', 'acme decorator'], [
            'websocket_server_dsn' => '//0.0.0.0:8080',
            'websocket_backend_dsn' => 'ssl://ws.example.com:443/ws?context_options[verify_peer]=0',
            'websocket_frontend_dsn' => '//*:443/ws',
        ]);
        $console = $this->console();
        self::assertSame(0, $console->run(['command' => 'orosync:migrate'], ['verbosity' => 32]));
        $report = $console->getDisplay(true);

        foreach (
            [
            'websocket_frontend_dsn = "//*:443/ws": read',
            'websocket_backend_dsn = "ssl://ws.example.com:443/ws?context_options[verify_peer]=0": read, without context_options and user_agent',
            'oro/maintenance: built in',
            'acme/news: subscribe = "user", by orosync:topics:export (acme.all_news, Oro\Bundle\SyncBundle\Topic\BroadcastTopic)',
            'Orosync\Tests\Oro\Acme\ChatTopic::onSubscribe(): decides who may subscribe.',
            'Orosync\Tests\Oro\Acme\AddRpc (RPC handler, service acme.add): the server runs no PHP: make it an HTTP route',
            'Orosync\Tests\Oro\Acme\OwnClient (service acme.client) decorates oro_sync.websocket_client.basic',
            'crm.example.com',
            'location /ws {',
            'proxy_pass http://127.0.0.1:8080/;',
            ] as $line
        ) {
            self::assertStringContainsString($line, $report);
        }
    }

    public function testMigrateReportsParametersThatThisOroIgnores(): void
    {
        $this->boot(parameters: ['websocket_bind_address' => '127.0.0.1']);
        $console = $this->console();
        $console->run(['command' => 'orosync:migrate']);

        self::assertStringContainsString(
            'websocket_bind_address = "127.0.0.1": read by Orosync, but not by this version of OroPlatform, which reads websocket_*_dsn',
            $console->getDisplay(true),
        );
    }

    public function testMigrateReportsTheEffectOfASubclassOfOrosTagListener(): void
    {
        $container = $this->boot();
        $command = new CommandTester(new MigrateCommand(
            $container->get('orosync.oro.topics'),
            new ContainerBag($container),
            $container->get('orosync.frontend_endpoint'),
            $container->get('orosync.bind_address'),
            $container->get('orosync.oro.obstacles'),
            [],
            [['kind' => 'is in the place of Oro\'s own class', 'id' => 'oro_sync.event_listener.doctrine_tag', 'class' => 'Acme\TagListener']],
        ));
        $command->execute([]);

        self::assertStringContainsString(
            'Acme\TagListener (service oro_sync.event_listener.doctrine_tag) is in the place of Oro\'s own class, '
            . 'which keeps its behaviour: its tags are sent with the flush, not after the commit',
            $command->getDisplay(true),
        );
    }

    public function testMigrateOfAStandardOroReportsNoOpenDecisions(): void
    {
        $this->boot();
        $console = $this->console();
        $console->run(['command' => 'orosync:migrate']);

        self::assertStringContainsString('Nothing to decide: all handlers are Oro\'s own.', $console->getDisplay(true));
        self::assertStringContainsString('None of Oro\'s services is decorated or replaced.', $console->getDisplay(true));
    }

    public function testEveryServiceCanBeBuilt(): void
    {
        $container = $this->boot([], ['publisher', 'tickets']);
        foreach (array_filter($container->getServiceIds(), static fn (string $id): bool => 1 === preg_match('/^(orosync|oro_sync)/i', $id)) as $id) {
            self::assertIsObject($container->get($id), $id);
        }
        $console = $this->console();

        self::assertSame(0, $console->run(['command' => 'lint:container']), $console->getDisplay());
    }
}
