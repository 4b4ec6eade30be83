--TEST--
A message that is accepted and flushed has arrived
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$php = $server->php('var_dump(orosync_publish("oro/ping", "x"), orosync_flush(10), orosync_check(10));');
echo 'exit ', $php->wait(), "\n", $php->output(), $php->errors();
echo implode("\n", $watcher->all()), "\n";
--EXPECT--
exit 0
bool(true)
bool(true)
bool(true)
"x"
