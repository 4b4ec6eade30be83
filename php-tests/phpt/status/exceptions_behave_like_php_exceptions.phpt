--TEST--
The exceptions have file, line and trace, and applications may create, chain and extend them
--EXTENSIONS--
orosync
--INI--
orosync.secret=ssssssssssssssssssssssssssssssssssssssss
--FILE--
<?php
function caller(): void
{
    orosync_publish('', 1);
}
try {
    caller();
} catch (Orosync\Exception\EncodingException $error) {
    echo basename($error->getFile()), ':', $error->getLine(), ' ', $error->getTrace()[1]['function'], "\n";
}
final class Mine extends Orosync\Exception\OrosyncException
{
}
$mine = new Mine('mine', 3, $error);
echo $mine->getMessage(), ' ', $mine->getCode(), ' ', $mine->getPrevious()::class, "\n";
echo get_class(new Orosync\Exception\ConfigurationException('x')), "\n";
--EXPECT--
exceptions_behave_like_php_exceptions.php:4 caller
mine 3 Orosync\Exception\EncodingException
Orosync\Exception\ConfigurationException
