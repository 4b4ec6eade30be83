<?php

declare(strict_types=1);

namespace Demo\Status;

/** What the server says of itself at its `admin_bind`: its metrics and its rules. */
final class ServerFacts
{
    private const TIMEOUT_SECONDS = 2.0;
    private const MAX_BYTES = 1_048_576;

    /** What an administrator wants to see of docs/operate.md, by the metrics that are added up for it. */
    private const COUNTERS = [
        'Open pages' => ['orosync_sessions_open{protocol="wamp"}', 'orosync_sessions_open{protocol="orosync"}'],
        'Publishers' => ['orosync_sessions_open{protocol="link"}'],
        'Subscriptions' => ['orosync_subscriptions'],
        'Messages of PHP' => ['orosync_messages_accepted_total{source="link"}'],
        'Sent again' => ['orosync_messages_duplicate_total'],
        'Events to pages' => ['orosync_deliveries_total'],
        'Bytes of those' => ['orosync_delivered_bytes_total'],
        'Refused subscriptions' => ['orosync_subscriptions_refused_total'],
        'Refused messages' => ['orosync_messages_refused_total'],
        'Refused tickets' => ['orosync_tickets_refused_total'],
    ];

    /** @param string $address host and port of `admin_bind` */
    public function __construct(private readonly string $address)
    {
    }

    /**
     * @return array<string, int> by label
     *
     * @throws \RuntimeException the server does not answer
     */
    public function counters(): array
    {
        $counted = [];
        foreach (explode("\n", $this->ask('/metrics')) as $line) {
            if (preg_match('/^(?<metric>[a-z_]+)(?<labels>\{.*})? (?<value>\d+)$/', $line, $sample) === 1) {
                // By its labels, and for all of them.
                foreach (array_unique([$sample['metric'], $sample['metric'] . $sample['labels']]) as $name) {
                    $counted[$name] = ($counted[$name] ?? 0) + (int) $sample['value'];
                }
            }
        }

        return array_map(
            static fn (array $metrics): int => array_sum(array_intersect_key($counted, array_flip($metrics))),
            self::COUNTERS,
        );
    }

    /**
     * @return list<array{pattern: string, subscribe: string, publish: string}> in the order in which they are asked
     *
     * @throws \RuntimeException the server does not answer
     */
    public function topics(): array
    {
        return json_decode($this->ask('/topics'), true, flags: \JSON_THROW_ON_ERROR)['topics'];
    }

    private function ask(string $path): string
    {
        $context = stream_context_create(['http' => ['timeout' => self::TIMEOUT_SECONDS]]);
        $answer = @file_get_contents("http://$this->address$path", false, $context, 0, self::MAX_BYTES);

        return $answer !== false ? $answer : throw new \RuntimeException("No answer from $this->address.");
    }
}
