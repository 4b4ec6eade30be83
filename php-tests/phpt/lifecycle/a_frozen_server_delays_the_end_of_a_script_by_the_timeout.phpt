--TEST--
A server that does not answer delays the end of a script by at most orosync.shutdown_timeout, and the log names the remaining messages
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$ends = [
    'the end' => '',
    'exit' => 'exit(3);',
    'an exception' => 'throw new Exception("planned");',
    'a fatal error' => 'planned();',
    'out of time' => 'set_time_limit(1); while (true) { }',
    'out of memory' => 'ini_set("memory_limit", "8M"); str_repeat("x", 1 << 24);',
    // A timeout longer than all the others together.
    'long timeout' => '',
];
$scripts = [];
foreach ($ends as $name => $end) {
    $connected = $server->file('connected');
    $log = $server->file('log');
    $settings = [
        'orosync.shutdown_timeout' => $name === 'long timeout' ? '60' : '0.3',
        'display_errors' => '0', 'log_errors' => '1', 'error_log' => $log,
    ];
    $php = $server->php("
        orosync_publish('oro/ping', 0);
        orosync_flush(20) && touch('$connected');
        while (file_exists('$connected')) { usleep(1000); clearstatcache(); }
        for (\$i = 1; \$i <= 3; ++\$i) { orosync_publish('oro/ping', \$i); }
        $end
    ", $settings, environment: str_starts_with($name, 'out of') ? WITH_MEMORY_MANAGER : []);
    wait_until('the connection', static fn (): bool => file_exists($connected));
    $scripts[$name] = [$php, $connected, $log];
}
$server->process->signal(SIGSTOP);
foreach ($scripts as [, $connected]) {
    unlink($connected);
}
[$waiting, , $log_of_waiting] = array_pop($scripts);
foreach ($scripts as $name => [$php, , $log]) {
    echo "$name: exit code ", $php->wait(), "\n";
    foreach (file($log) as $line) {
        if (str_contains($line, 'orosync:')) {
            echo '  ', str_replace($server->endpoint, 'ENDPOINT', strstr($line, 'orosync:'));
        }
    }
}
var_dump($waiting->isRunning());
$server->process->signal(SIGCONT);
echo 'long timeout: exit code ', $waiting->wait(), "\n";
var_dump(file_exists($log_of_waiting) && str_contains(file_get_contents($log_of_waiting), 'undelivered'));
--EXPECT--
the end: exit code 0
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
exit: exit code 3
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
an exception: exit code 255
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
a fatal error: exit code 255
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
out of time: exit code 255
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
out of memory: exit code 255
  orosync: 3 messages were left undelivered to ENDPOINT at the end of the process: no acknowledgement within orosync.shutdown_timeout
bool(true)
long timeout: exit code 0
bool(false)
