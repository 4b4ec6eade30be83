<?php

declare(strict_types=1);

namespace Demo\Status;

/** Metrics and rules from the `admin_bind` of the servers. Nodes that do not answer are left out. */
final class ServerFacts
{
    private const TIMEOUT_SECONDS = 2.0;
    private const MAX_BYTES = 1_048_576;

    /** Figures for administrators, with the metrics of docs/operate.md that are added up for each. */
    private const COUNTERS = [
        'Open pages' => ['orosync_sessions_open{protocol="wamp"}', 'orosync_sessions_open{protocol="orosync"}'],
        'Publishers' => ['orosync_sessions_open{protocol="link"}'],
        'Subscriptions' => ['orosync_subscriptions'],
        'Messages of PHP' => ['orosync_messages_accepted_total{source="link"}'],
        'Resent' => ['orosync_messages_duplicate_total'],
        'Events to pages' => ['orosync_deliveries_total'],
        'Bytes of those' => ['orosync_delivered_bytes_total'],
        'Refused subscriptions' => ['orosync_subscriptions_refused_total'],
        'Refused messages' => ['orosync_messages_refused_total'],
        'Rejected tickets' => ['orosync_tickets_rejected_total'],
    ];

    /** @param list<string> $addresses host and port of `admin_bind`, for each node */
    public function __construct(private readonly array $addresses)
    {
    }

    /**
     * @return array<string, int> sums over all nodes, by label
     *
     * @throws \RuntimeException none answers
     */
    public function counters(): array
    {
        $answers = $this->askEach('/metrics');
        if ($answers === []) {
            throw $this->silence();
        }
        $counted = [];
        foreach (explode("\n", implode("\n", $answers)) as $line) {
            if (preg_match('/^(?<metric>[a-z_]+)(?<labels>\{.*})? (?<value>\d+)$/', $line, $sample) === 1) {
                // Summed over all labels.
                foreach (array_unique([$sample['metric'], $sample['metric'] . $sample['labels']]) as $name) {
                    $counted[$name] = ($counted[$name] ?? 0) + (int) $sample['value'];
                }
            }
        }

        return (count($this->addresses) > 1 ? ['Nodes' => count($answers)] : []) + array_map(
            static fn (array $metrics): int => array_sum(array_intersect_key($counted, array_flip($metrics))),
            self::COUNTERS,
        );
    }

    /**
     * @return list<array{pattern: string, subscribe: string, publish: string}> in order of evaluation
     *
     * @throws \RuntimeException none answers
     */
    public function topics(): array
    {
        foreach ($this->askEach('/topics') as $answer) {
            return json_decode($answer, true, flags: \JSON_THROW_ON_ERROR)['topics'];
        }

        throw $this->silence();
    }

    /** @return array<string, int> numbers of the nodes, from 1, by the name in `orosync/session` */
    public function nodes(): array
    {
        $nodes = [];
        foreach ($this->askEach('/metrics') as $place => $metrics) {
            if (preg_match('/^orosync_node_info\{node="(?<name>[^"]+)"} 1$/m', $metrics, $info) === 1) {
                $nodes[$info['name']] = $place + 1;
            }
        }

        return $nodes;
    }

    /** @return array<int, string> answers by index; a node that does not answer has none */
    private function askEach(string $path): array
    {
        $context = stream_context_create(['http' => ['timeout' => self::TIMEOUT_SECONDS]]);
        $answers = [];
        foreach ($this->addresses as $place => $address) {
            $answers[$place] = @file_get_contents("http://$address$path", false, $context, 0, self::MAX_BYTES);
        }

        return array_filter($answers);
    }

    private function silence(): \RuntimeException
    {
        return new \RuntimeException('No answer from ' . implode(', ', $this->addresses) . '.');
    }
}
