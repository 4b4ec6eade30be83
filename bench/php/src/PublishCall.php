<?php

declare(strict_types=1);

namespace Orosync\Bench;

/**
 * Measures the duration of a publishing call: wall time in the script, in microseconds.
 *
 * Measured in turn: the call, PHP's own json_encode() of the same payload, one send() of the same bytes, phpredis PUBLISH, a POST
 * to nchan by cURL, and a WAMP client that opens a socket in each request, as OroPlatform's does. There are no subscribers,
 * because deliveries are the server's cost.
 */
final class PublishCall
{
    private const REMOTE = ['phpredis', 'phpredis_persistent', 'curl_nchan_kept', 'curl_nchan_new', 'wamp_client'];
    private const PAYLOADS = ['small', '5 content tags'];

    /** Pause between two requests; longer than the link thread's nap, so that it sleeps when the next request comes. */
    private const PAUSE_MICROSECONDS = 10_000;

    private Result $result;

    public function __construct(private readonly Stage $stage, private readonly Effort $effort)
    {
        $title = 'Duration of a publishing call';
        $this->result = new Result('publish', $title, 'us in the script', $stage);
    }

    public function answer(): Result
    {
        for ($turn = 0; $turn < $this->effort->of(3, 15); ++$turn) {
            $this->burst($turn);
            $this->requests($turn);
            $this->processes($turn);
            $this->away($turn);
        }
        $this->judge();

        return $this->result;
    }

    private function burst(int $turn): void
    {
        $found = $this->stage->measure('burst.php', ['turn' => $turn]);
        foreach (self::PAYLOADS as $payload) {
            foreach (['json_encode', 'orosync', ...self::REMOTE] as $peer) {
                ['median' => $median, 'p99' => $slowest] = $found[$payload][$peer];
                $this->result->add("burst, $payload", $peer, $median / 1000);
                $this->result->add("burst, $payload, 99th percentile", $peer, $slowest / 1000);
            }
        }
    }

    /** Requests of one FPM worker, each after a pause. */
    private function requests(int $turn): void
    {
        $found = [];
        for ($request = 0; $request < $this->effort->of(8, 16); ++$request) {
            foreach (self::PAYLOADS as $payload) {
                $peers = self::inRequests($payload);
                foreach (Result::rotated($peers, $turn + $request) as $peer) {
                    usleep(self::PAUSE_MICROSECONDS);
                    $page = $this->stage->request('request.php', ['peer' => $peer, 'payload' => $payload]);
                    $found[$payload][$peer]['first'][] = $page['first'];
                    $found[$payload][$peer]['later'][] = Result::medianOf($page['later']);
                }
            }
        }
        foreach ($found as $payload => $peers) {
            foreach (self::inOrder($peers, $payload) as $peer => ['first' => $first, 'later' => $later]) {
                $this->result->add("first of a request, after idle, $payload", $peer, Result::medianOf($first) / 1000);
                $this->result->add("later ones of a request, $payload", $peer, Result::medianOf($later) / 1000);
            }
        }
    }

    private function processes(int $turn): void
    {
        foreach (Result::rotated(['orosync', 'phpredis', 'curl_nchan_new', 'wamp_client'], $turn) as $peer) {
            $arguments = ['peer' => $peer, 'payload' => 'small'];
            $found = $this->stage->measure('request.php', $arguments);
            $this->result->add('first of a process, small', $peer, $found['first'] / 1000);
        }
    }

    private function away(int $turn): void
    {
        $settings = [
            'orosync.endpoint' => "ws://{$this->stage->nowhere}/",
            'orosync.shutdown_timeout' => '0',
            'log_errors' => '0',
        ];
        foreach (Result::rotated(['orosync', 'phpredis', 'curl_nchan_new', 'wamp_client'], $turn) as $peer) {
            $arguments = ['peer' => $peer, 'payload' => 'small', 'away' => true];
            $found = $this->stage->measure('request.php', $arguments, $settings);
            $this->result->add('nobody listens: first of a process, small', $peer, $found['first'] / 1000);
            if ($peer === 'orosync') {
                $later = Result::medianOf($found['later']) / 1000;
                $this->result->add('nobody listens: later ones, small', $peer, $later);
            }
        }
    }

    private function judge(): void
    {
        $result = $this->result;
        foreach (self::PAYLOADS as $payload) {
            $limit = 1.5 * $result->median("burst, $payload", 'json_encode') + 0.15;
            $value = $result->median("burst, $payload", 'orosync');
            $text = "burst, $payload, us; 1.5 x json_encode() + 150 ns";
            $result->goalAtMost($text, $value, $limit, 'The queue\'s memory is shared with the link thread on another core: '
                . 'each message moves between their caches, which is slower on some machines.');
            $ratio = $result->ratio("burst, $payload", 'phpredis', 'orosync');
            $result->goalAtLeast("burst, $payload: phpredis / orosync", $ratio, 40.0, sprintf(
                'Redis stays awake in a burst and answers a PUBLISH after %.1f us here; the call takes %.2f us.',
                $result->median("burst, $payload", 'phpredis'),
                $value
            ));
        }
        foreach (self::PAYLOADS as $payload) {
            $case = "first of a request, after idle, $payload";
            $call = $result->median($case, 'orosync');
            $reason = sprintf(
                'The call takes %.1f us. After idle, one send() of the small message takes %.1f us and json_encode() %.1f us by themselves. The '
                    . 'rest is code and data that have left the caches, and the timer after which the acknowledgement is read.',
                $call,
                $result->median('first of a request, after idle, small', 'send'),
                $result->median($case, 'json_encode')
            );
            $result->goalAtMost("$case, us", $call, 12.0, $reason);
            if ($payload === 'small') {
                $limit = $result->median($case, 'send') + 1.0;
                $result->goalAtMost("$case, us; one send() of the same bytes + 1 us", $call, $limit, $reason);
            }
            $ratio = $result->ratio($case, 'wamp_client', 'orosync');
            $reason .= sprintf(' The WAMP client connects and publishes in %.0f us.', $result->median($case, 'wamp_client'));
            $result->goalAtLeast("$case: WAMP client / orosync", $ratio, 30.0, $reason);
        }
    }

    /** @return list<string> the peers that publish this payload in requests; the bare send() exists for the small one only */
    private static function inRequests(string $payload): array
    {
        return ['json_encode', ...($payload === 'small' ? ['send'] : []), 'orosync', ...self::REMOTE];
    }

    /** Sorts the peers into the order of the results, which does not depend on the measuring order. */
    private static function inOrder(array $peers, string $payload): array
    {
        return array_replace(array_flip(self::inRequests($payload)), $peers);
    }
}
