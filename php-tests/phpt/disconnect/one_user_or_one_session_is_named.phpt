--TEST--
orosync_disconnect() takes one user or one session, and is queued and acknowledged like a message
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$publisher = $server->publisher(['connect_timeout' => 60]); // However slow the machine: nothing shall go wrong.
var_dump($publisher->disconnect(['user' => 'anna']), $publisher->disconnect(['session' => str_repeat('0f', 16)]));
var_dump($publisher->flush(LIMIT));
$status = $publisher->status();
echo $status['accepted'], ' ', $status['acknowledged'], ' ', var_export($status['last_error'], true), "\n";

foreach ([
    [], ['user' => 'anna', 'session' => str_repeat('0f', 16)], ['user' => ''], ['user' => 7], ['user' => "caf\xe9"],
    ['session' => 'anna'], ['users' => 'anna'], ['role' => 'user'],
] as $who) {
    echo thrown(static fn () => $publisher->disconnect($who)), "\n";
}
--EXPECT--
bool(true)
bool(true)
bool(true)
2 2 NULL
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes one of ['user' => 'NAME'] and ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes one of ['user' => 'NAME'] and ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, int given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "session" is not a session id: 32 lower-case hexadecimal digits
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "users" is unknown. Did you mean "user"?
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "role" is unknown. There are: user, session
