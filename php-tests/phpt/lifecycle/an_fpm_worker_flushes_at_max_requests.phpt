--TEST--
A worker flushes before it ends after pm.max_requests, and the next one continues
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_fpm.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/fpm.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$fpm = new Fpm($server, ['orosync.shutdown_timeout' => '20'], ['pm.max_requests' => '3']);
$workers = [];
for ($request = 0; $request < 9; ++$request) {
    $from = $request * 50;
    $workers[] = $fpm->request("for (\$i = $from; \$i < $from + 50; ++\$i) { orosync_publish('oro/ping', \$i); } echo getmypid();");
}
wait_until('the last worker is gone', static fn (): bool => !file_exists("/proc/$workers[8]"));
echo count(array_unique($workers)), " workers\n";
var_dump(array_map(intval(...), $watcher->all()) === range(0, 449));
echo $fpm->log();
--EXPECT--
3 workers
bool(true)
