<?php

/**
 * A request that publishes. Result: nanoseconds of the first message, connecting included, and of each later one. Runs in FPM;
 * on the command line it measures the first request of a process.
 */

declare(strict_types=1);

require __DIR__ . '/peers.php';

const LATER = 5;

$arguments = isset($argv) ? json_decode($argv[1], true) : $_GET;
if (isset($arguments['away'])) {
    // The same ways, with unreachable servers.
    $away = $arguments['nowhere'];
    $arguments = ['redis' => $away, 'nchan' => $away, 'orosync' => $away] + $arguments;
}
$peer = peers($arguments)[$arguments['peer']];
$payload = payloads()[$arguments['payload']];
$later = [];
$reached = true;
$connection = isset($peer['is_kept']) ? $peer['open']() : null;
$begin = hrtime(true);
try {
    $connection ??= $peer['open']();
    $peer['publish']($connection, $payload, 1);
} catch (Throwable $refused) {
    // The application's handling of the error is not measured.
    isset($arguments['away']) || throw $refused;
    $reached = false;
}
$first = hrtime(true) - $begin;
for ($message = 0; $message < LATER && $reached; ++$message) {
    $begin = hrtime(true);
    $peer['publish']($connection, $payload, 1);
    $later[] = hrtime(true) - $begin;
}
if ($reached) {
    $peer['close']($connection);
}
echo json_encode(['first' => $first, 'later' => $later], JSON_THROW_ON_ERROR);
