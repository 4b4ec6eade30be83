--TEST--
Graceful reload and stop of FPM lose no accepted message
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_fpm.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/fpm.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$fpm = new Fpm($server, ['orosync.shutdown_timeout' => '5']);
$publish = static fn (int $from): string => $fpm->request(
    "for (\$i = $from; \$i < $from + 200; ++\$i) { orosync_publish('oro/ping', \$i); } echo getmypid();"
);
$first = $publish(0);
$fpm->process->signal(SIGUSR2);
wait_until('the old worker is gone', static fn (): bool => !file_exists("/proc/$first"));
$fpm->waitUntilItAnswers();
$second = $publish(200);
var_dump($first !== $second);
$fpm->process->signal(SIGQUIT);
echo 'FPM ends with ', $fpm->process->wait(), "\n";
var_dump(array_map(intval(...), $watcher->all()) === range(0, 399));
echo $fpm->log();
--EXPECT--
bool(true)
FPM ends with 0
bool(true)
