--TEST--
pcntl_exec delivers accepted messages before the other program starts, and the script continues if that fails
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = new Server();
$php = $server->php('
    orosync_publish("oro/ping", "first");
    echo @pcntl_exec("/nonexistent") === false ? "no program, " : "", orosync_status()["queued"], " queued\n";
    orosync_publish("oro/ping", "second");
    echo "published\n";
    pcntl_exec("/bin/echo", ["another program"]);
', ['orosync.shutdown_timeout' => '0.2', 'log_errors' => '1']);
echo $php->wait(), ' ', $php->output(), substr_count($php->errors(), 'left undelivered'), " lines in the log\n";

$php = $server->php('
    orosync_publish("oro/ping", "accepted");
    echo "published\n";
    pcntl_exec("/bin/echo", ["another program"]);
', ['orosync.shutdown_timeout' => '60', 'log_errors' => '1']);
wait_until('the accepted message', fn (): bool => $php->output() !== '');
$server->start();
echo $php->wait(), ' ', $php->output(), $php->errors();
// Acknowledged before, so a new watcher does not receive it.
echo implode(' ', $server->watch('oro/ping')->all()), "\n";
--EXPECT--
0 no program, 1 queued
published
another program
2 lines in the log
0 published
another program
