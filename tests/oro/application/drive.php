<?php

declare(strict_types=1);

// Runs one step in the application: drive.php STEP. The last line of output is JSON: {call: return value}, or
// {call: "!class: message"} for an exception.

chdir(__DIR__);
require __DIR__ . '/autoload.php';

$calls = new App\Calls();
$kernel = new App\Kernel('testEnvironment' === $argv[1] ? 'test' : 'prod', false);
$calls->note('boot', static fn () => $kernel->boot());
if (!$calls->haveFailed()) {
    (new App\Steps($kernel->getContainer(), $calls))->{$argv[1]}();
}
echo "\n", json_encode($calls, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
