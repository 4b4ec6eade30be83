--TEST--
A ticket over the server's limit throws an exception with the limit; the longest allowed one is accepted
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$publisher = $server->publisher();
$patterns = static fn (int $bytes): array => array_map(static fn (int $i): string => str_pad("acme/$i/", $bytes, 'x'), range(1, 50));
echo thrown(fn () => $publisher->ticket(['sub' => str_repeat('a', 9000), 'role' => 'user'])), "\n";
echo thrown(fn () => $publisher->ticket(['sub' => 'a', 'topics' => $patterns(250)])), "\n";
$bytes = 110;
do {
    $ticket = null;
    $error = thrown(function () use ($publisher, $patterns, &$ticket, &$bytes): void {
        $ticket = $publisher->ticket(['sub' => 'a', 'topics' => $patterns($bytes++)]);
    });
    $longest = $ticket ?? $longest;
} while ($ticket !== null);
$connection = stream_socket_client("unix://$server->directory/orosync.sock");
fwrite($connection, implode("\r\n", [
    "GET /?ticket=$longest HTTP/1.1", 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
    'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: wamp', '', '',
]));
echo strlen($longest) > 8100 ? 'longest: ' : 'not long: ', fgets($connection);
--EXPECTF--
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): no ticket could be issued: it would have %d bytes, but servers accept at most 8192. Grant fewer topics, or patterns instead of topics, name fewer roles, or use a shorter user name
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): no ticket could be issued: it would have %d bytes, but servers accept at most 8192. Grant fewer topics, or patterns instead of topics, name fewer roles, or use a shorter user name
longest: HTTP/1.1 101 Switching Protocols
