<?php

declare(strict_types=1);

/*
 * Debian's packages contain class maps, so Composer is not needed. If Composer has installed the requirements of the
 * repository's composer.json, its autoloader is used instead.
 */

$root = dirname(__DIR__, 2);
if (is_file($root . '/vendor/autoload.php')) {
    require $root . '/vendor/autoload.php';
} else {
    // Symfony 6.4 and later read the installed packages from it.
    if (is_file('/usr/share/php/Composer/InstalledVersions.php')) {
        require_once '/usr/share/php/Composer/InstalledVersions.php';
    }
    foreach (
        [
        'Symfony/Bundle/FrameworkBundle', 'Symfony/Bundle/SecurityBundle', 'Symfony/Bundle/TwigBundle', 'Symfony/Bundle/WebProfilerBundle',
        'Symfony/Bridge/Doctrine', 'Symfony/Component/Asset', 'Symfony/Component/Messenger', 'Symfony/Component/Notifier',
        'Symfony/Component/BrowserKit', 'Symfony/Component/Console', 'Symfony/Component/Form', 'Symfony/Component/Process',
        'Symfony/Component/Translation', 'Symfony/Component/Validator', 'Symfony/Component/Yaml', 'Doctrine/ORM', 'Doctrine/DBAL',
        'Doctrine/Persistence', 'Twig', 'Composer/Semver',
        ] as $package
    ) {
        require '/usr/share/php/' . $package . '/autoload.php';
    }
    spl_autoload_register(static function (string $class) use ($root): void {
        foreach (['Orosync\\Tests\\' => '/php-tests/bundle/', 'Orosync\\' => '/bundle/'] as $prefix => $directory) {
            $file = $root . $directory . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
            if (str_starts_with($class, $prefix) && is_file($file)) {
                require $file;

                return;
            }
        }
    });
}

// Passes the test's directory to consoles that it starts.
$started = false !== getenv('BUNDLE_TEST_DIRECTORY');
if (!$started && !extension_loaded('orosync') && '1' === getenv('OROSYNC_EXTENSION_REQUIRED')) {
    fwrite(STDERR, "OROSYNC_EXTENSION_REQUIRED is set, but the extension is not loaded. Run: php -d extension=/path/to/liborosync.so /usr/bin/phpunit ...\n");
    exit(1);
}

// Directory of all containers, files and sockets of the tests.
if (!$started) {
    $directory = sys_get_temp_dir() . '/orosync-bundle-tests-' . bin2hex(random_bytes(6));
    mkdir($directory);
    putenv('BUNDLE_TEST_DIRECTORY=' . $directory);
    register_shutdown_function(static fn () => (new Symfony\Component\Filesystem\Filesystem())->remove($directory));
}
