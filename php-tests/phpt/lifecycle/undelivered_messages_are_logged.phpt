--TEST--
Without a server, a script logs once why it could not connect, and at its end how many messages were not delivered
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$php = $server->php('
    for ($i = 0; $i < 3; ++$i) { orosync_publish("oro/ping", $i); }
    while (orosync_status()["state"] !== "backing-off") { usleep(1000); }
    orosync_publish("oro/ping", $i);
    echo "the page";
', ['orosync.shutdown_timeout' => '0.05', 'log_errors' => '1', 'error_log' => "$server->directory/log"]);
echo 'exit ', $php->wait(), "\n", $php->output(), "\n", $php->errors(), file_get_contents("$server->directory/log");

$silent = $server->php('orosync_publish("oro/ping", 1);', ['orosync.shutdown_timeout' => '0.05', 'log_errors' => '0']);
echo 'log_errors = 0: exit ', $silent->wait(), "\n", $silent->output(), $silent->errors();
--EXPECTF--
exit 0
the page
[%s] orosync: unix:%s does not answer%S: cannot connect: No such file or directory (os error 2). Is orosync-server running there?
[%s] orosync: 4 messages were left undelivered to unix:%s at the end of the process: cannot connect: No such file or directory (os error 2). Is orosync-server running there?
log_errors = 0: exit 0
