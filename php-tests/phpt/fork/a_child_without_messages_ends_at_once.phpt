--TEST--
A child without messages of its own does not wait for its parent's messages, which are not lost
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$php = $server->php('
    orosync_publish("oro/ping", 1);
    $child = pcntl_fork();
    if ($child === 0) {
        exit(7);
    }
    pcntl_waitpid($child, $status);
    echo "child ended with ", pcntl_wexitstatus($status), "\n";
    while (!orosync_flush(0.1)) { }
    echo orosync_status()["acknowledged"], " acknowledged\n";
', ['orosync.shutdown_timeout' => '60', 'log_errors' => '0']);
// A child that waited for its parent's messages would wait a minute, because there is no server yet.
wait_until('the end of the child', static fn (): bool => str_contains($php->output(), 'child ended'));
$server->start();
echo 'exit ', $php->wait(), "\n", $php->output(), $php->errors();
--EXPECT--
exit 0
child ended with 7
1 acknowledged
