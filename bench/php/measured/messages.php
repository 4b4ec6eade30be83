<?php

/**
 * A request that publishes three messages, each with the time of its call. The request continues for a while afterwards, because
 * closing the connection would flush the data that Nagle's algorithm holds back.
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
