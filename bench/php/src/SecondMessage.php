<?php

declare(strict_types=1);

namespace Orosync\Bench;

/**
 * Measures the latency of three messages of one request: milliseconds from each call to the browser's event.
 *
 * OroPlatform's own client leaves Nagle's algorithm on: the kernel holds its second small frame back until the first is
 * acknowledged. A server without data to send delays its acknowledgement by 40 ms, unless it asks for quick acknowledgements.
 * Compared with the same client with TCP_NODELAY, and with orosync_publish().
 */
final class SecondMessage
{
    private const MESSAGES = ['first', 'second', 'third'];
    private const PEERS = ['orosync', 'wamp_client', 'wamp_client_no_delay'];

    public function __construct(private readonly Stage $stage, private readonly Effort $effort)
    {
    }

    public function answer(): Result
    {
        $title = 'Three messages of one request, until a browser has each';
        $result = new Result('second_message', $title, 'ms from the call to the event', $this->stage);
        $subscriber = new Subscriber($this->stage->orosync, 'bench/times');
        for ($turn = 0; $turn < $this->effort->of(5, 30); ++$turn) {
            $found = [];
            foreach (Result::rotated(self::PEERS, $turn) as $peer) {
                usleep(10_000);
                $found[$peer] = $this->request($subscriber, $peer);
            }
            foreach (self::PEERS as $peer) {
                foreach (self::MESSAGES as $index => $message) {
                    $result->add("$message message", $peer, $found[$peer][$index]);
                }
            }
        }
        foreach (['second', 'third'] as $message) {
            $value = $result->median("$message message", 'wamp_client');
            $reason = 'The kernel delays its acknowledgement (40 ms), and the client\'s Nagle algorithm waits for it: the '
                . 'server\'s request for quick acknowledgements has no effect here.';
            $result->goalAtMost("$message message of the WAMP client, ms", $value, 5.0, $reason);
        }

        return $result;
    }

    /** @return list<float> milliseconds of each message */
    private function request(Subscriber $subscriber, string $peer): array
    {
        $page = $this->stage->beginRequest('messages.php', ['peer' => $peer]);
        $times = [];
        foreach (self::MESSAGES as $ignored) {
            [$published, $arrived] = $subscriber->event();
            $times[] = ($arrived - $published) / 1e6;
        }
        $answer = stream_get_contents($page);
        if (!str_ends_with($answer, 'done')) {
            throw new \RuntimeException("messages.php: $answer");
        }

        return $times;
    }
}
