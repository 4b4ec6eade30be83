<?php

declare(strict_types=1);

namespace Orosync\Profiler;

use Orosync\Check\PhpIni;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\AskedTopics;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\DataCollector\DataCollector;
use Symfony\Component\HttpKernel\DataCollector\LateDataCollectorInterface;

/**
 * The profiler's panel "Orosync": what a request has published, why nothing was sent when nothing was, what its page shows, what
 * came of the topics that a page has asked for, and what this PHP has of the extension.
 */
final class PublishingCollector extends DataCollector implements LateDataCollectorInterface
{
    /** The response has left; a page that is loaded next waits so long at most. */
    private const SETTLE_SECONDS = 0.25;

    public function __construct(
        private readonly RecordingPublisher $publisher,
        private readonly Guard $guard,
        private readonly AskedTopics $asked,
        private readonly ?PageFacts $page,
    ) {
        $this->reset();
    }

    public function collect(Request $request, Response $response, ?\Throwable $exception = null): void
    {
        // What is published after the response (kernel.terminate) belongs to the request too: lateCollect().
    }

    public function lateCollect(): void
    {
        $settle = fn () => $this->publisher->settle(self::SETTLE_SECONDS);
        $this->guard->run('The profiler does not show what the server refuses', $settle);
        $status = $this->guard->run('The profiler does not show the state of the link', $this->publisher->status(...));
        $page = $this->guard->run('The profiler does not show what the page is about', fn (): ?array => $this->page?->all());
        $phpIni = $this->guard->run('The profiler does not show what php.ini says', PhpIni::overruled(...), []);
        $this->data = [
            'status' => null === $status ? null : array_diff_key(get_object_vars($status), ['refusals' => true]),
            'refusals' => $status->refusals ?? [],
            'records' => array_map(get_object_vars(...), $this->publisher->records()),
            'notRecorded' => $this->publisher->notRecorded(),
            'failures' => array_map(get_object_vars(...), $this->guard->failures()),
            'failureCount' => $this->guard->count(),
            'page' => $page,
            'asked' => $this->asked->all(),
            'php' => ['version' => \PHP_VERSION, 'sapi' => \PHP_SAPI, 'extension' => \phpversion('orosync') ?: null, 'overruled' => $phpIni],
        ];
    }

    public function reset(): void
    {
        $this->data = [
            'status' => null,
            'refusals' => [],
            'records' => [],
            'notRecorded' => 0,
            'failures' => [],
            'failureCount' => 0,
            'page' => null,
            'asked' => [],
            'php' => null,
        ];
    }

    public function getName(): string
    {
        return 'orosync';
    }

    /** @return array<string, int|string|null>|null the {@see PublisherStatus} at the end of the request */
    public function getStatus(): ?array
    {
        return $this->data['status'];
    }

    /** @return list<array{topic: string, json: string|null, bytes: int|null, reason: string|null, microseconds: float, complaint: string|null}> */
    public function getRecords(): array
    {
        return $this->data['records'];
    }

    /** @return list<array{topic: string, reason: string, messages: int}> of this process, not of this request alone */
    public function getRefusals(): array
    {
        return $this->data['refusals'];
    }

    public function getNotRecorded(): int
    {
        return $this->data['notRecorded'];
    }

    public function getCount(): int
    {
        return \count($this->data['records']) + $this->data['notRecorded'];
    }

    public function getRefusedCount(): int
    {
        return \count(array_filter(array_column($this->data['records'], 'reason')));
    }

    public function getComplaintCount(): int
    {
        return \count(array_filter(array_column($this->data['records'], 'complaint')));
    }

    /** @return list<array{lost: string, reason: string}> what failed within the application's own actions, perhaps not all */
    public function getFailures(): array
    {
        return $this->data['failures'];
    }

    public function getFailureCount(): int
    {
        return $this->data['failureCount'];
    }

    /** @return array{tags: list<string>, client: array<string, int|string|null>|null, topics: list<array{topic: string, subscribe: string, by: string}>}|null null: without Twig */
    public function getPage(): ?array
    {
        return $this->data['page'];
    }

    /** @return list<array{topic: string, outcome: string, by: string}> what a page has asked for with its ticket, {@see AskedTopics} */
    public function getAsked(): array
    {
        return $this->data['asked'];
    }

    /**
     * @return array{version: string, sapi: string, extension: string|null, overruled: array<string, string>}|null the PHP of this
     *         request; `overruled`: {@see PhpIni::overruled()}
     */
    public function getPhp(): ?array
    {
        return $this->data['php'];
    }

    /** What is wrong with the link, so that nothing that is published arrives now; null: nothing is known of that. */
    public function getTrouble(): ?string
    {
        $status = $this->data['status'];

        return match (true) {
            null === $status || 'connected' === $status['state'] => null,
            PublisherStatus::ABSENT === $status['state'] =>
                'Nothing can be sent: ' . ($status['lastError'] ?? 'no reason is known.'),
            null === $status['lastError'] => null,
            default => sprintf(
                'Not connected to %s: %s. What was accepted waits for the server.',
                $status['endpoint'],
                rtrim($status['lastError'], '.'),
            ),
        };
    }
}
