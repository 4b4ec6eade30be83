--TEST--
orosync_disconnect() takes a user of a role or one session, and is queued and acknowledged like a message
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$publisher = $server->publisher(['connect_timeout' => 60]); // However slow the machine: nothing shall go wrong.
foreach ([['role' => 'user', 'uid' => 7], ['role' => 'customer', 'user' => 'anna'], ['session' => str_repeat('0f', 16)]] as $who) {
    var_dump($publisher->disconnect($who));
}
var_dump($publisher->flush(LIMIT));
$status = $publisher->status();
echo $status['accepted'], ' ', $status['acknowledged'], ' ', var_export($status['last_error'], true), "\n";

foreach ([
    [], ['user' => 'anna'], ['uid' => 7], ['role' => 'user'], ['role' => 'user', 'uid' => 7, 'user' => 'anna'],
    ['session' => str_repeat('0f', 16), 'role' => 'user'],
    ['role' => 'user', 'user' => ''], ['role' => 'user', 'user' => 7], ['role' => 'user', 'user' => "caf\xe9"],
    ['role' => 'user', 'uid' => '7'], ['role' => 'user', 'uid' => -7], ['role' => 'publisher', 'uid' => 7],
    ['session' => 'anna'], ['users' => 'anna'],
] as $who) {
    echo thrown(static fn () => $publisher->disconnect($who)), "\n";
}
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
3 3 NULL
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, int given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid" must be an int from 0 on, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid" must be an int from 0 on, int given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "role" must be "user", "customer" or "anonymous", "publisher" given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "session" is not a session id: 32 lower-case hexadecimal digits
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "users" is unknown. Did you mean "user"?
