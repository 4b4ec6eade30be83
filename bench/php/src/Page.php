<?php

declare(strict_types=1);

namespace Orosync\Bench;

/**
 * Measures how much publishing adds to the time of an FPM page behind NGINX, in milliseconds, with 1 and with 20 concurrent
 * requests.
 *
 * Measured in turn: the page that publishes, two equal pages that do not (they differ by noise only), and a page that publishes
 * with phpredis over a persistent connection of each worker. There are no subscribers in any case.
 */
final class Page
{
    private const PAGES = [
        'page' => 'page-plain.php',
        'the_same_page' => 'page-same.php',
        'page_that_publishes' => 'page-publishing.php',
        'page_with_phpredis' => 'page-phpredis.php',
    ];

    public function __construct(private readonly Stage $stage, private readonly Effort $effort)
    {
    }

    public function answer(): Result
    {
        $result = new Result('page', 'A page of PHP-FPM that publishes', 'ms of a page', $this->stage);
        foreach ([1, 20] as $parallel) {
            $case = $parallel === 1 ? 'one request at a time' : "$parallel requests at a time";
            $added = $noise = [];
            foreach (self::PAGES as $page) {
                $this->load($page, $parallel);
            }
            for ($turn = 0; $turn < $this->effort->of(2, 15); ++$turn) {
                $found = [];
                foreach (Result::rotated(array_keys(self::PAGES), $turn) as $peer) {
                    $found[$peer] = $this->load(self::PAGES[$peer], $parallel);
                }
                foreach (array_keys(self::PAGES) as $peer) {
                    $result->add($case, $peer, $found[$peer]);
                    $added[$peer][] = $found[$peer] - ($found['page'] + $found['the_same_page']) / 2;
                }
                $noise[] = abs($found['page'] - $found['the_same_page']);
            }
            $ours = Result::medianOf($added['page_that_publishes']);
            $redis = Result::medianOf($added['page_with_phpredis']);
            $noise = Result::medianOf($noise);
            $text = "$case, ms added by publishing; difference of equal pages, or a fifth of what phpredis adds";
            $cores = $this->stage->machine->properties['cores'];
            $result->goalAtMost($text, $ours, max($noise, $redis / 5), sprintf(
                'phpredis adds %.3f ms, and equal pages differ by %.3f ms. The script does not wait. The addition is the CPU time of '
                    . 'link thread and server, which share %d cores with NGINX, FPM and the load.',
                $redis,
                $noise,
                $cores
            ));
        }

        return $result;
    }

    /** Sends requests for one second. Returns the time of one request in milliseconds. */
    private function load(string $page, int $parallel): float
    {
        $command = ['wrk', '--threads', '1', '--connections', (string) $parallel, '--duration', '1s'];
        $report = Process::run([...$this->stage->onServersCore(), ...$command, $this->stage->url($page)]);
        if (str_contains($report, 'Non-2xx') || preg_match('~Requests/sec:\s+([0-9.]+)~', $report, $found) !== 1) {
            throw new \RuntimeException("$page: $report");
        }

        return $parallel * 1000 / (float) $found[1];
    }
}
