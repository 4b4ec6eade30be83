--TEST--
php -S: messages of its pages arrive, even when it is stopped with Ctrl-C
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$page = $server->file('page') . '.php';
file_put_contents($page, '<?php echo orosync_publish("oro/ping", (int) $_GET["n"]) ? "accepted" : "refused";');
$listener = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($listener, false);
fclose($listener);
$web = new Process([...php_command($server->settings()), '-S', $address, $page], $server->file('web'));
wait_until('php -S listens', static fn (): bool => @stream_socket_client("tcp://$address") !== false);
for ($number = 1; $number <= 20; ++$number) {
    $answers[] = file_get_contents("http://$address/?n=$number");
}
echo implode(' ', array_unique($answers)), "\n";
$web->signal(SIGINT);
echo 'php -S ends with ', $web->wait(), "\n";
var_dump(array_map(intval(...), $watcher->all()) === range(1, 20));
--EXPECT--
accepted
php -S ends with 0
bool(true)
