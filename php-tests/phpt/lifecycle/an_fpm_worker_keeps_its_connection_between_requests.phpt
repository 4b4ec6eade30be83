--TEST--
An FPM worker has one publisher for all its requests; the master has none
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_fpm.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/fpm.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$fpm = new Fpm($server);
$worker = (int) $fpm->request('echo getmypid();');
echo 'before: ', threads($fpm->process->pid()), ' and ', threads($worker), "\n";
for ($number = 1; $number <= 5; ++$number) {
    echo $fpm->request("echo orosync_publish('oro/ping', $number) ? 'accepted ' : 'refused ', orosync_status()['accepted'];"), "\n";
}
echo 'after: ', threads($fpm->process->pid()), ' and ', threads($worker), "\n";
echo $fpm->request('echo orosync_flush(20) ? "flushed" : "not flushed", ", ", orosync_status()["reconnects"], " reconnects";'), "\n";
echo implode(' ', $watcher->all()), "\n";
echo $fpm->log();
--EXPECT--
before: 1 and 1
accepted 1
accepted 2
accepted 3
accepted 4
accepted 5
after: 1 and 2
flushed, 0 reconnects
1 2 3 4 5
