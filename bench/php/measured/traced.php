<?php

/**
 * Publishes messages between two system calls that mark the trace: /nowhere/begin and /nowhere/end. Bursts of the same size run
 * before, so that connections and memory exist. It waits between messages by polling the clock, which is not a system call.
 */

declare(strict_types=1);

require __DIR__ . '/peers.php';

$arguments = json_decode($argv[1], true);
['open' => $open, 'publish' => $publish, 'close' => $close] = peers($arguments)[$arguments['peer']];
$payload = payloads()['5 content tags'];
$connection = $open();
for ($burst = 0; $burst < 8; ++$burst) {
    $publish($connection, $payload, $arguments['messages']);
    orosync_flush(20.0);
}
if ($arguments['peer'] === 'orosync') {
    // Burst: the link thread is awake.
    $publish($connection, $payload, 1);
}
@mkdir('/nowhere/begin');
for ($message = 0; $message < $arguments['messages']; ++$message) {
    $publish($connection, $payload, 1);
    $next = hrtime(true) + $arguments['pause'] * 1000;
    while ($arguments['pause'] > 0 && hrtime(true) < $next) {
        continue;
    }
}
@mkdir('/nowhere/end');
$close($connection);
echo '[]';
