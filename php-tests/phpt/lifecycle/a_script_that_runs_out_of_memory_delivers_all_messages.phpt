--TEST--
Messages accepted before the memory limit arrive, and a shutdown function may still publish
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$watcher = $server->watch('oro/ping');
$settings = ['orosync.shutdown_timeout' => '20', 'memory_limit' => '32M', 'display_errors' => 'stderr'];
$php = $server->php('
    register_shutdown_function(function () { orosync_publish("oro/ping", 301); });
    for ($i = 1; $i <= 300; ++$i) { orosync_publish("oro/ping", $i); }
    $text = "x";
    while (true) { $text .= $text; }
', $settings, environment: WITH_MEMORY_MANAGER);
echo 'exit code ', $php->wait(), "\n", $php->output();
var_dump(array_map(intval(...), $watcher->all()) === range(1, 301));
--EXPECT--
exit code 255
bool(true)
