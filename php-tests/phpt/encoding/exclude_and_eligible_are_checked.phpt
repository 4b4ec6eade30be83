--TEST--
exclude and eligible are lists of session ids; anything else is refused with its reason
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
$id = str_repeat('0123456789abcdef', 2);
$try = static function (array $options) use ($publisher): void {
    echo thrown(static fn () => $publisher->publish('oro/ping', $options, $options)), "\n";
};
$try(['exclud' => []]);
$try(['excludeMe' => true]);
$try([1]);
$try(['exclude' => 'x']);
$try(['eligible' => [1]]);
$try(['exclude' => array_fill(0, 1001, $id)]);
$try(['exclude' => [$id], 'eligible' => []]);
// An id without a session: nobody receives the message, or everybody does.
$try(['eligible' => ['unknown']]);
$try(['exclude' => ['unknown']]);
foreach ([[1], [[]], [['oro/ping']], [['oro/ping', 1, 2]], [['oro/ping', 1, [], 4]], [['topic' => 'a', 'payload' => 1]], [['oro/ping', 1, ['x' => 1]]]] as $messages) {
    echo thrown(static fn () => $publisher->publishMany($messages)), "\n";
}
$publisher->flush(LIMIT);
echo implode("\n", $watcher->all()), "\n";
--EXPECT--
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "exclud" is unknown. Did you mean "exclude"?
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "excludeMe" is unknown. Did you mean "exclude"?
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "0" is unknown. Valid names: exclude, eligible
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "exclude" must be a list of session ids, string given
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "eligible" must be a list of strings, it holds int
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the option "exclude" has 1001 session ids in one list, at most 1000 are possible. Publish to a topic of those sessions instead
nothing
nothing
nothing
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not [topic, payload] or [topic, payload, options], but int
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not a list of [topic, payload] or [topic, payload, options]
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not a list of [topic, payload] or [topic, payload, options]
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): the options of message 0 must be an array, int given
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not a list of [topic, payload] or [topic, payload, options]
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not a list of [topic, payload] or [topic, payload, options]
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): the option "x" is unknown. Valid names: exclude, eligible
{"exclude":["0123456789abcdef0123456789abcdef"],"eligible":[]}
{"exclude":["unknown"]}
