--TEST--
An invalid setting does not affect PHP, and is reported with its value and a remedy
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$secret = str_repeat('s', 32);
$cases = [
    ['orosync.endpoint' => 'localhost:8080'],
    ['orosync.endpoint' => 'unix:orosync.sock'],
    ['orosync.endpoint' => 'ws://user:hunter2@localhost/'],
    ['orosync.endpoint' => ' , '],
    ['orosync.endpoint' => 'ws://node1:8080/ node2:8080'],
    ['orosync.endpoint' => 'ws://node1/, ws://node1:80'],
    ['orosync.endpoint' => implode(' ', array_map(static fn (int $node): string => "ws://node$node/", range(1, 17)))],
    ['orosync.secret' => 'short'],
    ['orosync.secret_file' => '/nonexistent/secret', 'orosync.secret' => ''],
    ['orosync.secret_file' => '', 'orosync.secret' => ''],
    ['orosync.secret_file' => '/etc/hostname', 'orosync.secret' => $secret],
    ['orosync.queue_messages' => '0'],
    ['orosync.queue_messages' => 'many'],
    ['orosync.queue_bytes' => '64 kb'],
    ['orosync.queue_bytes' => '64K'],
    ['orosync.connect_timeout' => '0'],
    ['orosync.connect_timeout' => '1m 1s'],
    ['orosync.shutdown_timeout' => '61s'],
];
foreach ($cases as $case) {
    $settings = $case + ['orosync.secret' => $secret, 'orosync.secret_file' => ''];
    $php = $server->php('try { orosync_publish("t", 1); } catch (Orosync\Exception\ConfigurationException $e) { echo $e->getMessage(); }', $settings);
    echo $php->wait(), ' ', $php->output(), $php->errors(), "\n";
}
--EXPECT--
0 orosync_publish(): orosync.endpoint: "localhost:8080" is not an endpoint. Write ws://host:port/, wss://host/ or unix:/path/to/socket
0 orosync_publish(): orosync.endpoint: "unix:orosync.sock" is not an absolute path. Write unix:/path/to/socket
0 orosync_publish(): orosync.endpoint: the endpoint has a user name or password. Remove it: the shared secret authenticates publishers
0 orosync_publish(): orosync.endpoint: no endpoint is set. Write ws://host:port/, wss://host/ or unix:/path/to/socket
0 orosync_publish(): orosync.endpoint: "node2:8080" is not an endpoint. Write ws://host:port/, wss://host/ or unix:/path/to/socket
0 orosync_publish(): orosync.endpoint: "ws://node1:80/" is listed twice. List each node once
0 orosync_publish(): orosync.endpoint: 17 endpoints are listed, at most 16 are allowed. List only some nodes of the cluster
0 orosync_publish(): orosync.secret: has 5 bytes, at least 32 are needed. Make one: openssl rand -hex 32
0 orosync_publish(): orosync.secret_file = "/nonexistent/secret": cannot be read: No such file or directory (os error 2). Check the path, and that PHP's user may read it
0 orosync_publish(): no secret is set. Create one (openssl rand -hex 32 > /etc/orosync/secret) and name its file in orosync.secret_file in php.ini, or in the environment variable OROSYNC_AUTH__SECRET_FILE. The server needs the same secret
0 orosync_publish(): orosync.secret and orosync.secret_file are both set. Keep one of the two
0 orosync_publish(): orosync.queue_messages = "0": out of bounds. Write 1 to 1000000
0 orosync_publish(): orosync.queue_messages = "many": not a whole number. Write digits, for example 1000
0 orosync_publish(): orosync.queue_bytes = "64 kb": not a size. Write 64K, 1M or a number of bytes
0 orosync_publish(): orosync.queue_bytes = "64K": out of bounds. Write 2M or more
0 orosync_publish(): orosync.connect_timeout = "0": out of bounds. Write 0.001 to 60
0 orosync_publish(): orosync.connect_timeout = "1m 1s": not a time. Write seconds (5 or 0.5), 30s, 500ms, 5m or 1h
0 orosync_publish(): orosync.shutdown_timeout = "61s": out of bounds. Write 0 to 60
