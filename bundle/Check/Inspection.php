<?php

declare(strict_types=1);

namespace Orosync\Check;

use Orosync\Command\ServerBinary;
use Orosync\Endpoint\BackendEndpoint;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\ServerProbe;
use Orosync\Publishing\ExtensionPublisher;
use Orosync\Publishing\PublisherFactory;
use Orosync\Publishing\PublisherStatus;
use Orosync\Publishing\SharedSecret;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Topic\Differences;
use Orosync\Topic\RunningServer;
use Orosync\Topic\TopicSourceInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * Checks everything that live notifications need, one part after another, from the PHP process that runs it.
 *
 * Each part is built when its check starts, so a part that cannot be built is one line of the result. Bound: a few seconds for
 * each peer that does not answer.
 */
final class Inspection
{
    private const ANSWER_SECONDS = 3.0;
    private const TICKET_SECONDS = 60;
    private const MAX_REFUSALS = 10;

    /** Texts of the server's refused actions. */
    private const ACTIONS = [
        'publish' => 'a message from PHP was not delivered',
        'browser_publish' => 'a page may not publish',
        'subscribe' => 'a page may not subscribe',
    ];

    /** Texts of the server's reason labels. */
    private const REASONS = [
        'undeclared' => 'because no rule of the server matches the topic',
        'not_allowed' => 'by the rule of the topic',
    ];

    /**
     * @param \Closure(): PublisherFactory      $publishers
     * @param \Closure(): TicketIssuerInterface $tickets
     * @param \Closure(): BackendEndpoint       $backend
     * @param \Closure(): SharedSecret          $secret
     * @param \Closure(): FrontendEndpoint      $frontend
     * @param \Closure(): TopicSourceInterface  $topics
     * @param array<string, string>             $sources where `backend` and `frontend` are set, as text
     * @param bool                              $isTest  whether messages are kept in memory
     * @param string|null                       $caFile  the only certificate authorities for a `wss://` server (PEM)
     */
    public function __construct(
        private readonly \Closure $publishers,
        private readonly \Closure $tickets,
        private readonly \Closure $backend,
        private readonly \Closure $secret,
        private readonly \Closure $frontend,
        private readonly \Closure $topics,
        private readonly ServerBinary $binary,
        private readonly ServerProbe $probe,
        private readonly RunningServer $server,
        private readonly RequestStack $requests,
        private readonly array $sources,
        private readonly bool $isTest,
        private readonly ?string $caFile,
    ) {
    }

    /**
     * @param string $admin the server's `admin_bind` as `http://host:port`
     * @param string $page the URL of a page of the application, as in browsers
     *
     * @return iterable<Verdict>
     */
    public function verdicts(string $admin, string $page): iterable
    {
        $parts = [
            'extension' => $this->extension(...),
            'settings' => $this->settings(...),
            'php.ini' => $this->phpIni(...),
            'binary' => $this->binary(...),
            'server' => $this->server(...),
            'ticket' => $this->ticket(...),
            'topics' => fn (): iterable => $this->topics($admin),
            'refusals' => fn (): iterable => $this->refusals($admin),
            'browsers' => fn (): iterable => $this->browsers($page),
        ];
        foreach ($parts as $subject => $part) {
            try {
                yield from $part();
            } catch (\Throwable $e) {
                yield Verdict::error($subject, $e->getMessage());
            }
        }
    }

    /** @return iterable<Verdict> */
    private function extension(): iterable
    {
        $where = sprintf('PHP %s, %s', \PHP_VERSION, \PHP_SAPI);
        yield \extension_loaded('orosync')
            ? Verdict::ok('extension', sprintf('orosync %s is loaded (%s)', \phpversion('orosync'), $where))
            : Verdict::error('extension', sprintf(
                'not loaded (%s, %s). Install it and add "extension=orosync" to this PHP\'s configuration.',
                $where,
                php_ini_loaded_file() ?: 'no php.ini',
            ));
        if ($this->isTest) {
            yield Verdict::warning('extension', 'orosync.test is on: messages are kept in memory, and nobody receives them.');
        }
    }

    /** @return iterable<Verdict> */
    private function settings(): iterable
    {
        $endpoint = ($this->backend)()->resolve();
        yield null === $endpoint
            ? Verdict::warning('endpoint', sprintf('empty, which switches live notifications off (%s)', $this->sources['backend']))
            : Verdict::ok('endpoint', sprintf('%s (%s)', $endpoint, $this->sources['backend']));
        $secret = ($this->secret)();
        $secret->forPublisher();
        yield Verdict::ok('secret', $secret->source());
    }

    /** @return iterable<Verdict> */
    private function phpIni(): iterable
    {
        foreach (PhpIni::overridden() as $name => $value) {
            yield Verdict::warning('php.ini', sprintf(
                '%s = %s has no effect here: the bundle has its own settings. Only the functions of the extension use '
                . 'it. Remove it, or call the bundle\'s services instead.',
                $name,
                $value,
            ));
        }
    }

    /** @return iterable<Verdict> */
    private function binary(): iterable
    {
        try {
            $version = $this->binary->version();
        } catch (\RuntimeException $e) {
            // The server may run on another machine.
            yield Verdict::warning('binary', $e->getMessage());

            return;
        }
        $mine = \phpversion('orosync') ?: $version;
        yield $version === $mine
            ? Verdict::ok('binary', sprintf('%s, %s', $this->binary->path(), $version))
            : Verdict::warning('binary', sprintf(
                '%s has version %s, the extension %s. Install the same version of both.',
                $this->binary->path(),
                $version,
                $mine,
            ));
    }

    /** @return iterable<Verdict> */
    private function server(): iterable
    {
        $publisher = ($this->publishers)()->publisher();
        $answers = $publisher instanceof ExtensionPublisher && $publisher->check(self::ANSWER_SECONDS);
        $status = $publisher->status();
        yield match (true) {
            $answers => Verdict::ok('server', sprintf('answers at %s and accepts the secret', $status->endpoint)),
            PublisherStatus::UNAVAILABLE === $status->state => Verdict::error('server', 'not checked: ' . ($status->lastError ?? 'nothing is sent')),
            default => Verdict::error('server', sprintf(
                '%s: %s',
                $status->endpoint,
                $status->lastError ?? sprintf('no answer within %.0f seconds. Is the server running?', self::ANSWER_SECONDS),
            )),
        };
    }

    /** @return iterable<Verdict> */
    private function ticket(): iterable
    {
        $endpoints = ($this->backend)()->resolveEach();
        foreach ($endpoints as $endpoint) {
            $server = 1 === \count($endpoints) ? 'the server' : 'the server at ' . $endpoint;
            yield $this->ticketAt($endpoint, $server . ' accepts a browser ticket');
        }
    }

    private function ticketAt(string $endpoint, string $accepted): Verdict
    {
        $caFile = $this->caFile ?? ((string) ini_get('orosync.ca_file') ?: null);

        return match ($this->probe->probe($endpoint, $this->newTicket(), null, $caFile)) {
            ServerProbe::ACCEPTED => Verdict::ok('ticket', $accepted),
            ServerProbe::UNREACHABLE => Verdict::error('ticket', sprintf(
                'no connection to %s. Is the server running? Start it: bin/console orosync:server, or the unit orosync-server.',
                $endpoint,
            )),
            ServerProbe::TICKET_REJECTED => Verdict::error('ticket', sprintf(
                'the server at %s rejects a browser ticket: it has another secret or another clock. Its log contains the reason.',
                $endpoint,
            )),
            default => Verdict::error('ticket', sprintf(
                '%s is not orosync-server, or a proxy that does not reach it. Compare orosync.backend with the server\'s bind.',
                $endpoint,
            )),
        };
    }

    /** @return iterable<Verdict> */
    private function topics(string $admin): iterable
    {
        $topics = ($this->topics)();
        $rules = $topics->translation()->rules;
        try {
            $server = $this->server->rules($admin);
        } catch (\RuntimeException $e) {
            yield Verdict::warning('topics', 'not compared with the server\'s. ' . $e->getMessage());

            return;
        }
        $differences = Differences::between($rules, $topics->allowedOrigins(), $server);
        foreach ($differences as $difference) {
            yield Verdict::error('topics', $difference);
        }
        yield [] === $differences
            ? Verdict::ok('topics', [] === $rules ? 'the application declares none' : sprintf('the server has all topics of the application (%d)', \count($rules)))
            : Verdict::error('topics', 'Restart orosync:server, or write its file again with orosync:topics:export and send it SIGHUP.');
    }

    /** @return iterable<Verdict> */
    private function refusals(string $admin): iterable
    {
        try {
            $refusals = $this->server->refusals($admin);
        } catch (\RuntimeException) {
            // The line about topics reports it.
            return;
        }
        foreach (\array_slice($refusals, 0, self::MAX_REFUSALS) as $refusal) {
            yield Verdict::warning('refusals', sprintf(
                '%s: %s, %s (%d %s, the last %d s ago)',
                $refusal['topic'],
                self::ACTIONS[$refusal['action']] ?? $refusal['action'],
                self::REASONS[$refusal['reason']] ?? $refusal['reason'],
                $refusal['count'],
                1 === $refusal['count'] ? 'time' : 'times',
                $refusal['seconds_ago'],
            ));
        }
        if ([] === $refusals) {
            yield Verdict::ok('refusals', 'the server has refused nothing since its start');
        } elseif (\count($refusals) > self::MAX_REFUSALS) {
            yield Verdict::warning('refusals', sprintf('%d more: %s/refusals', \count($refusals) - self::MAX_REFUSALS, rtrim($admin, '/')));
        }
    }

    /** @return iterable<Verdict> */
    private function browsers(string $page): iterable
    {
        $request = Request::create($page);
        $this->requests->push($request);
        try {
            $address = ($this->frontend)()->resolve();
        } finally {
            $this->requests->pop();
        }
        if (null === $address) {
            yield Verdict::warning('browsers', sprintf('switched off: the frontend is empty (%s)', $this->sources['frontend']));

            return;
        }
        $url = $address->url();
        $origin = $request->getSchemeAndHttpHost();
        $seen = sprintf('a page of %s connects to %s (%s)', $origin, $url, $this->sources['frontend']);
        if ($request->isSecure() && !$address->secure) {
            yield Verdict::error('browsers', $seen . ', which browsers forbid on an https page. Set orosync.frontend to /ws.');

            return;
        }
        $advice = sprintf('%s. Set orosync.frontend, and pass the URL of one of your pages with --page.', $seen);
        // Like a browser, with the certificate authorities of the system.
        yield match ($this->probe->probe($url, $this->newTicket(), $origin)) {
            ServerProbe::ACCEPTED => Verdict::ok('browsers', $seen),
            ServerProbe::UNREACHABLE => Verdict::warning('browsers', 'No answer from there, as seen from this machine: ' . $advice),
            ServerProbe::TICKET_REJECTED => Verdict::error('browsers', 'The server there rejects the ticket: ' . $advice),
            ServerProbe::ORIGIN_REFUSED => Verdict::error('browsers', sprintf('The server there does not allow pages of %s: %s. Add the host to auth.allowed_origins.', $origin, $seen)),
            ServerProbe::OTHER_PROGRAM => Verdict::warning('browsers', 'The program there is not orosync-server, nor a proxy that reaches it: ' . $advice),
        };
    }

    private function newTicket(): string
    {
        return ($this->tickets)()->issue(['role' => 'anonymous'], self::TICKET_SECONDS);
    }
}
