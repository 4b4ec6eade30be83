--TEST--
A payload that cannot be encoded is refused with its reason; json_last_error() is unchanged
--EXTENSIONS--
orosync
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

enum Pure
{
    case One;
}
$publisher = new Orosync\Publisher('unix:/nobody', ['secret' => str_repeat('s', 32)]);
$loop = [];
$loop['self'] = &$loop;
$deep = [];
for ($level = 0; $level < 512; ++$level) {
    $deep = [$deep];
}
json_decode('{');
$before = json_last_error();
foreach (["caf\xe9", ['a' => NAN], INF, $loop, STDIN, $deep, Pure::One, str_repeat('x', 1 << 20)] as $payload) {
    echo thrown(static fn () => $publisher->publish('t', $payload)), "\n";
}
unset($loop['self']); // PHP frees a loop at its end only with its memory manager, which is off under valgrind.
var_dump(json_last_error() === $before, $publisher->status()['accepted'], $publisher->status()['state']);
--EXPECT--
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload holds a string that is not UTF-8. Convert it first, for example with mb_convert_encoding()
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload holds INF or NAN, which JSON does not have. Publish null or a string instead
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload holds INF or NAN, which JSON does not have. Publish null or a string instead
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload refers to itself. Publish a part without the reference back
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload holds a value that JSON does not have, such as a resource. Publish what it stands for
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload is nested deeper than 512 levels. Publish less of it
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload holds an enum case without a value. Give the enum a backing type, or publish the case's name
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the payload is 1048578 bytes of JSON, at most 1048576 are possible. Publish a reference and let the page fetch the content
bool(true)
int(0)
string(4) "idle"
