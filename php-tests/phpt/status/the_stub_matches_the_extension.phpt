--TEST--
orosync.stub.php declares exactly what the extension does
--EXTENSIONS--
orosync
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$describe = <<<'PHP'
    $signature = static function (ReflectionFunctionAbstract $function): string {
        $parameters = array_map(static fn (ReflectionParameter $parameter): string => $parameter->getType() . ' $'
            . $parameter->getName() . ($parameter->isOptional() ? ' = ' . json_encode($parameter->getDefaultValue(), JSON_PRESERVE_ZERO_FRACTION) : ''),
            $function->getParameters());
        $type = (string) $function->getReturnType();

        return $function->getName() . '(' . implode(', ', $parameters) . ')' . ($type === '' ? '' : ": $type");
    };
    $lines = ['const OROSYNC_VERSION = ' . OROSYNC_VERSION];
    foreach (['publish', 'publish_many', 'disconnect', 'flush', 'check', 'ticket', 'status', 'refusals'] as $name) {
        $lines[] = $signature(new ReflectionFunction("orosync_$name"));
    }
    foreach (['Publisher', 'Exception\OrosyncException', 'Exception\ConfigurationException', 'Exception\EncodingException'] as $name) {
        $class = new ReflectionClass("Orosync\\$name");
        $parent = $class->getParentClass();
        $lines[] = ($class->isFinal() ? 'final ' : '') . 'class ' . $class->getName() . ($parent ? ' extends ' . $parent->getName() : '');
        $own = array_filter($class->getMethods(), static fn ($method): bool => $method->class === $class->getName());
        $methods = array_map(static fn ($method): string => '    ' . $signature($method), $own);
        sort($methods);
        array_push($lines, ...$methods);
    }
    echo str_replace('Traversable|array', 'iterable', implode("\n", $lines)), "\n";
PHP;
$directory = temporary_directory();
file_put_contents("$directory/describe.php", "<?php $describe");
$stub = dirname(__DIR__, 3) . '/ext/orosync.stub.php';
$run = static function (array $command) use ($directory): string {
    $process = new Process($command, "$directory/out");
    $process->wait();

    return $process->output() . $process->errors();
};
$real = $run([...php_command([]), "$directory/describe.php"]);
$declared = $run([PHP_BINARY, '-n', '-r', "require '$stub'; require '$directory/describe.php';"]);
echo $real;
var_dump($real === $declared);
if ($real !== $declared) {
    echo $declared;
}
--EXPECTF--
const OROSYNC_VERSION = %d.%d.%d
orosync_publish(string $topic, mixed $payload, array $options = []): bool
orosync_publish_many(iterable $messages): int
orosync_disconnect(array $who): bool
orosync_flush(float $timeout = 1.0): bool
orosync_check(float $timeout = 1.0): bool
orosync_ticket(array $claims = [], int $ttl = 300): string
orosync_status(): array
orosync_refusals(): array
final class Orosync\Publisher
    __construct(string $endpoint, array $options = [])
    check(float $timeout = 1.0): bool
    disconnect(array $who): bool
    flush(float $timeout = 1.0): bool
    publish(string $topic, mixed $payload, array $options = []): bool
    publishMany(iterable $messages): int
    refusals(): array
    status(): array
    ticket(array $claims = [], int $ttl = 300): string
class Orosync\Exception\OrosyncException extends RuntimeException
final class Orosync\Exception\ConfigurationException extends Orosync\Exception\OrosyncException
final class Orosync\Exception\EncodingException extends Orosync\Exception\OrosyncException
bool(true)
