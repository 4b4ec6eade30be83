<?php

/**
 * Publishes many messages in a row over one connection, each way in turn. Result: nanoseconds per call, and the 99th percentile.
 * All messages are delivered before the next way starts.
 */

declare(strict_types=1);

require __DIR__ . '/peers.php';

const BLOCK = 50;

$arguments = json_decode($argv[1], true);
$peers = peers($arguments);
// Each repetition starts with another way.
$names = array_keys($peers);
$turn = $arguments['turn'] % count($names);
$names = [...array_slice($names, $turn), ...array_slice($names, 0, $turn)];

/** A quantile of the values. */
function quantile(array $values, float $quantile): float
{
    sort($values);

    return $values[(int) min(count($values) - 1, $quantile * count($values))];
}

$found = [];
foreach (payloads() as $kind => $payload) {
    foreach ($names as $name) {
        ['open' => $open, 'publish' => $publish, 'close' => $close] = $peers[$name];
        $local = in_array($name, ['json_encode', 'orosync'], true);
        $connection = $open();
        // Warm-up: code, connection, memory of a burst of this size.
        $publish($connection, $payload, $local ? 1000 : BLOCK);
        orosync_flush(5.0);
        $blocks = [];
        for ($block = 0; $block < ($local ? 40 : 6); ++$block) {
            $begin = hrtime(true);
            $publish($connection, $payload, BLOCK);
            $blocks[] = (hrtime(true) - $begin) / BLOCK;
        }
        orosync_flush(5.0);
        $calls = [];
        for ($call = 0; $call < ($local ? 2000 : 300); ++$call) {
            $begin = hrtime(true);
            $publish($connection, $payload, 1);
            $calls[] = hrtime(true) - $begin;
        }
        orosync_flush(5.0);
        $close($connection);
        $found[$kind][$name] = ['median' => quantile($blocks, 0.5), 'p99' => quantile($calls, 0.99)];
    }
}
echo json_encode($found, JSON_THROW_ON_ERROR);
