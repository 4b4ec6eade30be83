--TEST--
An int, a float, a bool or a Stringable is accepted as a topic, regardless of strict_types
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


final class Name implements Stringable
{
    public function __toString(): string
    {
        return 'oro/ping';
    }
}
$server = new Server();
$publisher = $server->publisher(['shutdown_timeout' => 0]);
foreach ([12, 1.5, true, new Name(), 'ümlaut', "caf\xe9", '', false, str_repeat('x', 256), "a\nb", "a\0b", null, [], new stdClass()] as $topic) {
    echo thrown(static fn () => print(var_export($publisher->publish($topic, 1), true) . ' ')), "\n";
}
echo thrown(static fn () => orosync_publish()), "\n";
--EXPECT--
true nothing
true nothing
true nothing
true nothing
true nothing
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic is not UTF-8 (byte 0xE9 at position 3). Convert it first, for example with mb_convert_encoding()
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic is empty. Give it a name such as oro/data/update
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic is empty. Give it a name such as oro/data/update
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic is 256 bytes long, at most 255 are possible. Shorten it
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic has the control character U+000A at position 1. Remove it
Orosync\Exception\EncodingException: Orosync\Publisher::publish(): the topic has the control character U+0000 at position 1. Remove it
TypeError: Orosync\Publisher::publish(): $topic must be of type string, null given
TypeError: Orosync\Publisher::publish(): $topic must be of type string, array given
Error: Object of class stdClass could not be converted to string
ArgumentCountError: orosync_publish() expects at least 2 arguments, 0 given
