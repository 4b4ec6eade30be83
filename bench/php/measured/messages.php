<?php

/**
 * A request that publishes three messages, each of which says when it was published. It goes on for a while, as requests do: the
 * end of a connection would push out what Nagle's algorithm holds back.
 */

declare(strict_types=1);

use Orosync\Bench\Measured\WampClient;

require __DIR__ . '/WampClient.php';

const MESSAGES = 3;
const TOPIC = 'bench/times';

if ($_GET['peer'] === 'orosync') {
    for ($message = 0; $message < MESSAGES; ++$message) {
        orosync_publish(TOPIC, hrtime(true));
    }
} else {
    $ticket = orosync_ticket(['sub' => 'bench', 'uid' => 1, 'role' => 'user']);
    $client = new WampClient($_GET['orosync'], $ticket, $_GET['peer'] === 'wamp_client_no_delay');
    for ($message = 0; $message < MESSAGES; ++$message) {
        $client->publish(TOPIC, hrtime(true));
    }
    usleep(100_000);
    $client->disconnect();
}
echo 'done';
