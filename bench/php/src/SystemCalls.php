<?php

declare(strict_types=1);

namespace Orosync\Bench;

/**
 * Counts the system calls of the script's own thread per 1,000 messages, with strace.
 *
 * Three rates: a burst, in which the link thread is awake; one message every 300 us, between which it naps; and one every 5 ms,
 * between which it sleeps.
 */
final class SystemCalls
{
    private const PACES = ['burst' => 0, 'one each 0.3 ms' => 300, 'one each 5 ms' => 5000];

    public function __construct(private readonly Stage $stage, private readonly Effort $effort)
    {
    }

    public function answer(): Result
    {
        $title = 'System calls of a publishing call';
        $result = new Result('system_calls', $title, 'system calls of the script, per 1,000 messages', $this->stage);
        for ($turn = 0; $turn < $this->effort->of(1, 5); ++$turn) {
            foreach (self::PACES as $pace => $microseconds) {
                $peers = $microseconds === 0
                    ? ['json_encode', 'orosync', 'phpredis', 'curl_nchan_kept', 'wamp_client']
                    : ['orosync'];
                foreach ($peers as $peer) {
                    $messages = $microseconds === 5000 ? 200 : 1000;
                    $result->add($pace, $peer, $this->count($peer, $messages, $microseconds) * 1000 / $messages);
                }
            }
        }
        $reason = 'The link thread had gone to sleep between two messages, and was woken: under strace the script may pause for longer '
            . 'than the thread naps.';
        foreach (['burst', 'one each 0.3 ms'] as $pace) {
            $result->goalAtMost($pace, $result->median($pace, 'orosync'), 0.0, $reason);
        }

        return $result;
    }

    private function count(string $peer, int $messages, int $microseconds): int
    {
        $trace = $this->stage->file('trace');
        $this->stage->measure(
            'traced.php',
            ['peer' => $peer, 'messages' => $messages, 'pause' => $microseconds],
            [],
            ['strace', '--follow-forks', '--quiet=all', "--output=$trace", '--trace=!clock_gettime']
        );
        $calls = null;
        $thread = null;
        foreach (file($trace) as $line) {
            [$of, $call] = preg_split('/\s+/', $line, 2);
            $thread ??= $of;
            if ($of !== $thread || str_starts_with($call, '<... ')) {
                continue;
            }
            if (str_contains($call, '/nowhere/begin')) {
                $calls = 0;
            } elseif (str_contains($call, '/nowhere/end')) {
                return $calls ?? throw new \RuntimeException('the end came before the beginning');
            } elseif ($calls !== null) {
                ++$calls;
            }
        }
        throw new \RuntimeException("$trace does not show the end");
    }
}
