<?php

declare(strict_types=1);

namespace Orosync\Profiler;

use Orosync\Check\PhpIni;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\RequestedTopics;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\DataCollector\DataCollector;
use Symfony\Component\HttpKernel\DataCollector\LateDataCollectorInterface;

/**
 * The profiler's panel "Orosync": the messages that a request published, problems of the link, the page's content tags and
 * topics, the outcome of topics in a ticket request, and the extension of this PHP.
 */
final class PublishingCollector extends DataCollector implements LateDataCollectorInterface
{
    /**
     * Time limit for acknowledgements, in seconds. The response has been sent, but the next request may wait for this
     * process.
     */
    private const SETTLE_SECONDS = 0.25;

    public function __construct(
        private readonly RecordingPublisher $publisher,
        private readonly Guard $guard,
        private readonly RequestedTopics $requested,
        private readonly ?PageFacts $page,
    ) {
        $this->reset();
    }

    public function collect(Request $request, Response $response, ?\Throwable $exception = null): void
    {
        // Messages published after the response (kernel.terminate) belong to the request too: see lateCollect().
    }

    public function lateCollect(): void
    {
        $settle = fn () => $this->publisher->settle(self::SETTLE_SECONDS);
        $this->guard->run('The profiler lacks the messages refused by the server', $settle);
        $status = $this->guard->run('The profiler lacks the state of the link', $this->publisher->status(...));
        $page = $this->guard->run('The profiler lacks the facts about the page', fn (): ?array => $this->page?->all());
        $phpIni = $this->guard->run('The profiler lacks the php.ini settings', PhpIni::overridden(...), []);
        $this->data = [
            'status' => null === $status ? null : array_diff_key(get_object_vars($status), ['refusals' => true]),
            'refusals' => $status->refusals ?? [],
            'records' => array_map(get_object_vars(...), $this->publisher->records()),
            'notRecorded' => $this->publisher->notRecorded(),
            'failures' => array_map(get_object_vars(...), $this->guard->failures()),
            'failureCount' => $this->guard->count(),
            'page' => $page,
            'requestedTopics' => $this->requested->all(),
            'php' => ['version' => \PHP_VERSION, 'sapi' => \PHP_SAPI, 'extension' => \phpversion('orosync') ?: null, 'overridden' => $phpIni],
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
            'requestedTopics' => [],
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

    /** @return list<array{topic: string, json: string|null, bytes: int|null, reason: string|null, microseconds: float, problem: string|null}> */
    public function getRecords(): array
    {
        return $this->data['records'];
    }

    /** @return list<array{topic: string, reason: string, messages: int}> of this process, not only of this request */
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

    public function getProblemCount(): int
    {
        return \count(array_filter(array_column($this->data['records'], 'problem')));
    }

    /** @return list<array{lost: string, reason: string}> failures within the application's own actions; bounded */
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

    /** @return list<array{topic: string, outcome: string, by: string}> topics of a ticket request, {@see RequestedTopics} */
    public function getRequestedTopics(): array
    {
        return $this->data['requestedTopics'];
    }

    /**
     * @return array{version: string, sapi: string, extension: string|null, overridden: array<string, string>}|null the PHP of this
     *         request; `overridden`: {@see PhpIni::overridden()}
     */
    public function getPhp(): ?array
    {
        return $this->data['php'];
    }

    /** Problem of the link that keeps messages from arriving; null: none known. */
    public function getConnectionProblem(): ?string
    {
        $status = $this->data['status'];

        return match (true) {
            null === $status || 'connected' === $status['state'] => null,
            PublisherStatus::UNAVAILABLE === $status['state'] =>
                'Nothing can be sent: ' . ($status['lastError'] ?? 'the reason is unknown.'),
            null === $status['lastError'] => null,
            default => sprintf(
                'Not connected to %s: %s. Accepted messages wait for the server.',
                $status['endpoint'],
                rtrim($status['lastError'], '.'),
            ),
        };
    }
}
