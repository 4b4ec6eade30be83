<?php

declare(strict_types=1);

namespace Orosync\Oro\Topics;

use Oro\Bundle\SyncBundle\Provider\WebsocketClientParametersProviderInterface;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Topic\Finding;
use Orosync\Topic\TopicRule;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;
use Symfony\Component\DependencyInjection\ParameterBag\ContainerBagInterface;

/** Reports what of this application maps to Orosync automatically, and what needs a decision. Changes nothing. */
#[AsCommand(name: 'orosync:migrate', description: 'Report what maps to Orosync and what needs a decision, without changing anything')]
final class MigrateCommand extends Command
{
    private const NOT_READ = [
        'websocket_backend_ssl_context_options' => 'ignored: certificates are verified with the system\'s authorities, or with orosync.backend_ca_file',
        'websocket_backend_user_agent' => 'ignored: the server does not use it',
        'websocket_frontend_user_agent' => 'ignored: the server does not use it',
        'websocket_user_agent' => 'ignored: the server does not use it',
    ];
    private const ADVICE = [
        'RPC handler' => 'the server runs no PHP: make it an HTTP route',
        'periodic task' => 'run a command that publishes from a system timer',
        'pusher' => 'publish through oro_sync.websocket_client',
        'push handler' => 'publish through oro_sync.websocket_client instead of pushing',
    ];

    /** Effect of a class of the application that replaces one of Oro's. */
    private const REPLACED = [
        'oro_sync.event_listener.doctrine_tag' => 'which keeps its behaviour: its tags are sent with the flush, not after the commit',
    ];

    /**
     * @param list<array{kind: string, id: string, class: string}> $parts   services registered for Oro's old server
     * @param list<array{kind: string, id: string, class: string}> $changes decorators and replacements of Oro's services
     */
    public function __construct(
        private readonly ApplicationTopics $topics,
        private readonly ContainerBagInterface $parameters,
        private readonly FrontendEndpoint $frontend,
        private readonly BindAddress $bind,
        private readonly Obstacles $obstacles,
        private readonly array $parts,
        private readonly array $changes,
    ) {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $io = new SymfonyStyle($input, $output);
        try {
            $this->report($io);
        } catch (\Throwable $e) {
            $io->error($e->getMessage());

            return Command::FAILURE;
        }

        return Command::SUCCESS;
    }

    private function report(SymfonyStyle $io): void
    {
        $translation = $this->topics->translation();
        $this->section($io, 'This machine', $this->obstacles->find(), 'Extension, server and addresses are as they should be.');
        $this->section($io, 'Parameters', $this->parameterLines(), 'None is set; the configuration "orosync:" applies.');
        $this->section($io, 'Topics', [
            ...array_map(static fn (string $pattern): string => $pattern . ': built in', $translation->builtIn),
            ...array_map(static fn (TopicRule $rule): string => sprintf(
                '%s: subscribe = "%s", by orosync:topics:export (%s)',
                $rule->pattern,
                $rule->subscribe,
                $rule->origin,
            ), $translation->rules),
        ], 'There are no routes.');
        $this->section($io, 'Handlers: decide', [
            ...array_map(static fn (Finding $finding): string => $finding->where . ': ' . $finding->advice, $translation->findings),
            ...array_map(static fn (array $part): string => sprintf(
                '%s (%s, service %s): %s',
                $part['class'],
                $part['kind'],
                $part['id'],
                self::ADVICE[$part['kind']] ?? 'is not called: the server does not notify PHP of connections',
            ), $this->parts),
        ], 'Nothing to decide: all handlers are Oro\'s own.');
        $this->section($io, 'Decorators to review', array_map(static fn (array $change): string => sprintf(
            '%s (service %s) %s, %s',
            $change['class'],
            $change['id'],
            $change['kind'],
            self::REPLACED[$change['id']] ?? 'which now publishes through the extension',
        ), $this->changes), 'None of Oro\'s services is decorated or replaced.');
        $this->section($io, 'Origins, by orosync:topics:export', $this->originLines(), '');
        $this->section($io, 'NGINX', $this->nginxLines(), '');
    }

    /** @param list<string> $lines */
    private function section(SymfonyStyle $io, string $title, array $lines, string $otherwise): void
    {
        $io->section($title);
        if ([] === $lines) {
            $io->writeln($otherwise);
        }
        foreach ($lines as $line) {
            $io->writeln('  ' . OutputFormatter::escape($line));
        }
    }

    /** @return list<string> */
    private function parameterLines(): array
    {
        $names = array_filter(array_keys($this->parameters->all()), static fn (string $name): bool => str_starts_with($name, 'websocket_'));
        sort($names);
        $hasDsn = [] !== preg_grep('~_dsn$~', $names);

        return array_map(function (string $name) use ($hasDsn): string {
            try {
                $value = json_encode($this->parameters->get($name), \JSON_UNESCAPED_SLASHES) ?: 'not text';
            } catch (\Throwable $e) {
                $value = 'cannot be resolved: ' . $e->getMessage();
            }
            $isOld = !str_ends_with($name, '_dsn');
            $fate = self::NOT_READ[$name] ?? match (true) {
                str_contains($value, 'context_options') || str_contains($value, 'user_agent=') => 'read, without context_options and user_agent',
                $isOld && $hasDsn => 'ignored if the DSN of the same side is set',
                $isOld && interface_exists(WebsocketClientParametersProviderInterface::class) => 'read by Orosync, but not by this version of OroPlatform, which reads websocket_*_dsn',
                default => 'read',
            };

            return sprintf('%s = %s: %s', $name, $value, $fate);
        }, $names);
    }

    /** @return list<string> */
    private function originLines(): array
    {
        try {
            return $this->topics->allowedOrigins();
        } catch (\Throwable $e) {
            return ['cannot be read: ' . $e->getMessage()];
        }
    }

    /** @return list<string> */
    private function nginxLines(): array
    {
        try {
            $frontend = $this->frontend->resolve();
            $server = $this->bind->resolve();
        } catch (InvalidEndpointException $e) {
            return [$e->getMessage()];
        }
        if (null === $frontend || null === $server) {
            return ['Nothing: the frontend or the server is switched off.'];
        }
        $upstream = str_starts_with($server, 'unix:')
            ? 'http://' . $server . ':/'
            : 'http://' . preg_replace('~^(0\.0\.0\.0|\[::\]):~', '127.0.0.1:', $server) . '/';

        return [
            sprintf('location /%s {', $frontend->path),
            sprintf('    proxy_pass %s;', $upstream),
            '    proxy_http_version 1.1;',
            '    proxy_set_header Upgrade $http_upgrade;',
            '    proxy_set_header Connection "upgrade";',
            '    proxy_set_header Host $http_host;',
            '    access_log off;    # the URL contains the ticket',
            '}',
        ];
    }
}
