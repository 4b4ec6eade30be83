--TEST--
Settings, claims and names that are references, or run code, are read as passed
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';
require __DIR__ . '/../inc/hostile.inc';

$server = Server::running();
$watcher = $server->watch('oro/ping');

// The endpoint's __toString() frees the options.
$secretFile = own($server->secretFile);
$options = ['secret_file' => &$secretFile, 'queue_messages' => 10];
$endpoint = new RunsAsString(function () use (&$endpoint, &$options): void {
    $endpoint = $options = null;
}, $server->endpoint);
$publisher = new Orosync\Publisher($endpoint, $options);
echo json_encode($publisher->publish('oro/ping', 'with options')), "\n";
$publisher->flush(LIMIT);

// A constructor that its own argument calls again.
$endpoint = new RunsAsString(fn () => $publisher->__construct($server->endpoint, ['secret_file' => $secretFile]), $server->endpoint);
$publisher->__construct($endpoint, ['secret_file' => $secretFile]);
echo json_encode($publisher->publish('oro/ping', 'constructed again')), "\n";

// An exception from __toString() reaches the caller.
echo thrown(fn () => new Orosync\Publisher(new RunsAsString(fn () => throw new DomainException('mine')))), "\n";

// For claims and names no code is called: references to strings are accepted, Stringable objects are not.
$name = own('anna');
$topics = [own('acme/{n}')];
$patterns = [own('acme/{n}')];
$origins = [own('example.org')];
$claims = ['sub' => &$name, 'role' => 'user', 'topics' => &$topics, 'patterns' => &$patterns, 'origins' => &$origins];
$claims['self'] = &$claims;
echo thrown(fn () => $publisher->ticket($claims)), "\n";
unset($claims['self']);
$payload = json_decode(base64_decode(explode('.', $publisher->ticket($claims))[1]), true);
echo $payload['sub'], ' ', json_encode([$payload['topics'], $payload['patterns']], JSON_UNESCAPED_SLASHES), ' ', json_encode($payload['origins']), "\n";
echo thrown(fn () => $publisher->ticket(['sub' => new RunsAsString(fn () => 1)])), "\n";
echo json_encode($publisher->disconnect(['role' => 'user', 'user' => &$name])), "\n";
echo thrown(fn () => $publisher->disconnect(['role' => 'user', 'user' => new RunsAsString(fn () => 1)])), "\n";

// A list of ids that is a reference and contains references.
$ids = [&$name, &$topics[0], &$patterns[0]];
$publisher->publish('oro/ping', 'excluding', ['exclude' => &$ids]);

$publisher->flush(LIMIT);
echo implode("\n", $watcher->all()), "\n";
--EXPECT--
true
true
DomainException: mine
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "self" is unknown. Valid names: sub, uid, org, role, roles, topics, patterns, origins, until
anna [["acme/{n}"],["acme/{n}"]] ["example.org"]
Orosync\Exception\EncodingException: Orosync\Publisher::ticket(): the claim "sub" must be a string, RunsAsString given
true
Orosync\Exception\EncodingException: Orosync\Publisher::disconnect(): "user" must be a string in UTF-8 that is not empty, RunsAsString given
"with options"
"constructed again"
"excluding"
