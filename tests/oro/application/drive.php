<?php

declare(strict_types=1);

// Runs one step within the application: drive.php STEP. The last line that it prints is JSON: {call: what it returned}, or
// {call: "!class: message"} where it threw.

chdir(__DIR__);
require __DIR__ . '/autoload.php';

$calls = new App\Calls();
$kernel = new App\Kernel('testEnvironment' === $argv[1] ? 'test' : 'prod', false);
$calls->note('boot', static fn () => $kernel->boot());
if (!$calls->haveFailed()) {
    (new App\Steps($kernel->getContainer(), $calls))->{$argv[1]}();
}
echo "\n", json_encode($calls, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
