--TEST--
A ticket contains its claims and opens one session
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$publisher = $server->publisher();
$claims = static fn (string $ticket): array => array_diff_key(
    json_decode(base64_decode(strtr(explode('.', $ticket)[1], '-_', '+/')), true),
    ['iat' => 0, 'jti' => 0]
);
$shown = static function (array $given, int $ttl) use ($publisher, $claims): void {
    $before = time();
    $ticket = $claims($publisher->ticket($given, $ttl));
    $ticket['exp'] = $ticket['exp'] >= $before + $ttl && $ticket['exp'] <= time() + $ttl;
    ksort($ticket);
    echo json_encode($ticket), "\n";
};
$shown([], 300);
$shown(['sub' => 'admin', 'uid' => 7, 'org' => 1, 'role' => 'user'], 60);
$shown(['sub' => null, 'uid' => 0, 'role' => 'customer'], 1);
$shown(['uid' => '0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a', 'role' => 'user', 'roles' => ['ROLE_USER', 'ROLE_SALES']], 1);
$shown(['uid' => '7', 'roles' => []], 1);
$shown(['origins' => ['CRM.example.com', '*.shop.example', '[::1]', 'same host']], 1);
$shown(['origins' => [], 'topics' => null, 'until' => null], 1);
$shown(['until' => 1800000000], 1);
$shown(['topics' => ['acme/chat/{x}'], 'patterns' => ['acme/{id:int}', 'acme/{{x}}']], 1);

$status = static function (string $ticket) use ($server): string {
    $socket = stream_socket_client(str_replace('unix:', 'unix://', $server->endpoint));
    fwrite($socket, "GET /?ticket=$ticket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp\r\n\r\n");

    return trim((string) fgets($socket));
};
$ticket = $publisher->ticket(['sub' => 'admin', 'role' => 'user']);
echo $status($ticket), "\n", $status($ticket), "\n";
echo $publisher->status()['state'], "\n";

foreach ([
    [['role' => 'publisher']], [['role' => 'root']], [['role' => 1]], [['uid' => 'a/b']], [['uid' => -1]], [['uid' => 1.5]], [['org' => 1.5]],
    [['sub' => 7]], [['sub' => "caf\xe9"]], [['user' => 'admin']], [['orgg' => 1]], [[], 0], [[], 100_000],
    [['origins' => 'crm.example.com']], [['origins' => [1]]], [['origins' => ["caf\xe9"]]], [['origins' => ['https://crm.example.com/']]],
    [['origins' => ['a b']]], [['origins' => array_fill(0, 17, 'a')]], [['origins' => [str_repeat('a', 254)]]], [['origin' => []]],
    [['topics' => 'acme/a']], [['topics' => ['acme/a', 7]]], [['topics' => ['acme/a', '']]], [['topics' => ["caf\xe9"]]],
    [['topics' => ["acme/\n"]]], [['topics' => [str_repeat('a', 256)]]], [['patterns' => ['acme/{']]], [['patterns' => ["caf\xe9"]]],
    [['until' => -1]], [['until' => '2030']], [['roles' => 'ROLE_USER']], [['roles' => [7]]], [['roles' => ['ROLE A']]], [['roles' => array_fill(0, 33, 'A')]],
    [['topics' => array_fill(0, 51, 'a')]], [['topics' => array_fill(0, 25, 'a'), 'patterns' => array_fill(0, 26, 'a')]],
] as $arguments) {
    echo thrown(static fn () => $publisher->ticket(...$arguments)), "\n";
}
--EXPECT--
{"aud":"orosync","exp":true,"role":"anonymous"}
{"aud":"orosync","exp":true,"org":1,"role":"user","sub":"admin","uid":7}
{"aud":"orosync","exp":true,"role":"customer","uid":0}
{"aud":"orosync","exp":true,"role":"user","roles":["ROLE_USER","ROLE_SALES"],"uid":"0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a"}
{"aud":"orosync","exp":true,"role":"anonymous","uid":7}
{"aud":"orosync","exp":true,"origins":["crm.example.com","*.shop.example","[::1]","same host"],"role":"anonymous"}
{"aud":"orosync","exp":true,"role":"anonymous"}
{"aud":"orosync","exp":true,"role":"anonymous","until":1800000000}
{"aud":"orosync","exp":true,"patterns":["acme\/{id:int}","acme\/{{x}}"],"role":"anonymous","topics":["acme\/chat\/{x}"]}
HTTP/1.1 101 Switching Protocols
HTTP/1.1 401 Unauthorized
idle
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "role" must be "user", "customer" or "anonymous", "publisher" given: publishers issue their own tickets
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "role" must be "user", "customer" or "anonymous", "root" given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "role" must be "user", "customer" or "anonymous", int given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "uid": a user's id is an integer from 0 on, or a string of 1 to 100 bytes without /, * and control characters; 3 bytes given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "uid": an int must be from 0 on, -1 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "uid": it must be an int or a string, float given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "org" must be an int from 0 on, float given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "sub" must be a string, int given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "sub" is not UTF-8. Convert it first, for example with mb_convert_encoding()
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "user" is unknown. Valid names: sub, uid, org, role, roles, topics, patterns, origins, until
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "orgg" is unknown. Did you mean "org"?
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the ttl must be from 1 to 86400 seconds, 0 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the ttl must be from 1 to 86400 seconds, 100000 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, string given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, it holds int
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, "caf�" is in it: not a host. Write crm.example.com, *.example.com, same host or *
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, "https://crm.example.com/" is in it: only the host of an origin is compared. Write crm.example.com
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, "a b" is in it: not a host. Write crm.example.com, *.example.com, same host or *
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, at most 16, 17 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origins" must be a list of hosts, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is in it: 254 bytes long, host names have at most 253
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "origin" is unknown. Did you mean "origins"?
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, string given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, it holds int
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, the topic at index 1 is empty. Give it a name such as oro/data/update
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, the topic at index 0 is not UTF-8 (byte 0xE9 at position 3). Convert it first, for example with mb_convert_encoding()
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, the topic at index 0 has the control character U+000A at position 5. Remove it
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, the topic at index 0 is 256 bytes long, at most 255 are possible. Shorten it
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "patterns" must be a list of topic patterns, "acme/{": a brace is not closed or not opened. Captures look like {name} or {name:int}; a literal brace is doubled
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "patterns" must be a list of topic patterns, the pattern at index 0 is not UTF-8
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "until" must be an int from 0 on, -1 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "until" must be an int from 0 on, string given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "roles" must be a list of roles, string given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "roles" must be a list of roles, it holds int
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "roles" must be a list of roles, "ROLE A" is not a valid role name. Write letters, digits, _, - and ., at most 100, for example ROLE_SALES
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "roles" must be a list of roles, more than 32 roles
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "topics" must be a list of topics, at most 50, 51 given
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): no ticket could be issued: it would grant 51 topics and patterns, but servers accept at most 50. Grant fewer topics, or patterns instead of topics
