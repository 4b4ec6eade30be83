<?php

declare(strict_types=1);

/*
 * Loads every class of the bundle with Debian's Symfony, Doctrine and Twig, in a PHP without the extension, processes and
 * sockets. Prints the number of loaded classes and the errors of the others. The exit code is always 0.
 */

set_include_path('/usr/share/php');
error_reporting(E_ALL & ~E_DEPRECATED);
putenv('BUNDLE_TEST_DIRECTORY=/tmp');
require 'PHPUnit/Autoload.php';
require __DIR__ . '/../bundle/bootstrap.php';

/** Classes that extend those of DBAL 4 and Oro, which Debian does not have. */
const ELSEWHERE = ['ContentTag/Transaction/Dbal4', 'Oro/Orosync', 'Oro/RootTransaction'];

$bundle = dirname(__DIR__, 2) . '/bundle/';
$loaded = 0;
$failures = [];
foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($bundle, FilesystemIterator::SKIP_DOTS)) as $file) {
    $name = substr($file->getPathname(), strlen($bundle));
    // Files that contain a class begin with a capital letter.
    if (!str_ends_with($name, '.php') || !ctype_upper(basename($name)[0]) || array_filter(ELSEWHERE, static fn ($it) => str_starts_with($name, $it))) {
        continue;
    }
    $class = 'Orosync\\' . strtr(substr($name, 0, -4), '/', '\\');
    try {
        if (!class_exists($class) && !interface_exists($class) && !trait_exists($class) && !enum_exists($class)) {
            throw new LogicException('it has no such class');
        }
        ++$loaded;
    } catch (Throwable $e) {
        $failures[] = $name . ': ' . $e->getMessage();
    }
}
printf("PHP %s: %d passed, %d failed\n%s\n", PHP_VERSION, $loaded, count($failures), implode("\n", $failures));
