<?php

declare(strict_types=1);

// Replaces Composer's autoloader. autoload.json contains the rules of each package's composer.json.

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
(static function (): void {
    // Symfony reads the installed packages from this class, which Debian's composer contains.
    if (!class_exists(Composer\InstalledVersions::class, false)) {
        require_once '/usr/share/php/Composer/InstalledVersions.php';
    }
    ['namespaces' => $namespaces, 'files' => $files] = json_decode((string) file_get_contents(__DIR__ . '/autoload.json'), true);
    uksort($namespaces, static fn (string $a, string $b): int => strlen($b) <=> strlen($a));
    spl_autoload_register(static function (string $class) use ($namespaces): void {
        foreach ($namespaces as $prefix => $directories) {
            if (!str_starts_with($class, $prefix)) {
                continue;
            }
            foreach ($directories as $directory) {
                $file = $directory . '/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
                if (is_file($file)) {
                    require $file;

                    return;
                }
            }
        }
    });
    array_map(static fn (string $file) => require_once $file, $files);
})();

foreach (['CustomerUser', 'ConfigurationInterface'] as $name) {
    require_once __DIR__ . "/stand-ins/$name.php";
}
foreach (getenv() as $name => $value) {
    $_SERVER[$name] = $_ENV[$name] = $value;
}
