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
$publisher = $server->publisher(['connect_timeout' => 60]); // Long, for a slow machine.
foreach ([['role' => 'user', 'uid' => 7], ['role' => 'user', 'uid' => '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a'], ['role' => 'customer', 'user' => 'anna'], ['session' => str_repeat('0f', 16)]] as $who) {
    var_dump($publisher->disconnect($who));
}
var_dump($publisher->flush(LIMIT));
$status = $publisher->status();
echo $status['accepted'], ' ', $status['acknowledged'], ' ', var_export($status['last_error'], true), "\n";

foreach ([
    [], ['user' => 'anna'], ['uid' => 7], ['role' => 'user'], ['role' => 'user', 'uid' => 7, 'user' => 'anna'],
    ['session' => str_repeat('0f', 16), 'role' => 'user'],
    ['role' => 'user', 'user' => ''], ['role' => 'user', 'user' => 7], ['role' => 'user', 'user' => "caf\xe9"],
    ['role' => 'user', 'uid' => ''], ['role' => 'user', 'uid' => "caf\xe9"], ['role' => 'user', 'uid' => 7.0], ['role' => 'user', 'uid' => -7], ['role' => 'publisher', 'uid' => 7],
    ['session' => 'anna'], ['users' => 'anna'],
] as $who) {
    echo thrown(static fn () => $publisher->disconnect($who)), "\n";
}
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
4 4 NULL
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or ['session' => 'ID']
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, int given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, string given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid": a user's id is an integer from 0 on, or a string of 1 to 100 bytes without /, * and control characters; 0 bytes given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid": it is not UTF-8
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid": it must be an int or a string, float given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "uid": an int must be from 0 on, -7 given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "role" must be "user", "customer" or "anonymous", "publisher" given
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "session" is not a session id: 32 lower-case hexadecimal digits
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "users" is unknown. Did you mean "user"?
