<?php

declare(strict_types=1);

/*
 * Debian's packages bring their own class maps, so no composer is needed. Where composer has installed the requirements
 * of the repository's composer.json, its autoloader is taken instead.
 */

$root = dirname(__DIR__, 2);
if (is_file($root.'/vendor/autoload.php')) {
    require $root.'/vendor/autoload.php';
} else {
    foreach ([
        'Symfony/Bundle/FrameworkBundle', 'Symfony/Bundle/SecurityBundle', 'Symfony/Bundle/TwigBundle', 'Symfony/Bridge/Doctrine',
        'Symfony/Component/BrowserKit', 'Symfony/Component/Console', 'Symfony/Component/Form', 'Symfony/Component/Process',
        'Symfony/Component/Yaml', 'Doctrine/ORM', 'Doctrine/DBAL', 'Doctrine/Persistence', 'Twig',
    ] as $package) {
        require '/usr/share/php/'.$package.'/autoload.php';
    }
    spl_autoload_register(static function (string $class) use ($root): void {
        foreach (['Orosync\\Tests\\' => '/php-tests/bundle/', 'Orosync\\' => '/bundle/'] as $prefix => $directory) {
            $file = $root.$directory.str_replace('\\', '/', substr($class, strlen($prefix))).'.php';
            if (str_starts_with($class, $prefix) && is_file($file)) {
                require $file;

                return;
            }
        }
    });
}

if (!extension_loaded('orosync') && '1' === getenv('OROSYNC_EXTENSION_REQUIRED')) {
    fwrite(STDERR, "OROSYNC_EXTENSION_REQUIRED is set, but the extension is not loaded. Run phpunit as: php -d extension=/path/to/liborosync.so\n");
    exit(1);
}

// Containers, files and processes of the tests live here and nowhere else.
$_SERVER['OROSYNC_TEST_DIRECTORY'] = sys_get_temp_dir().'/orosync-bundle-tests-'.bin2hex(random_bytes(6));
mkdir($_SERVER['OROSYNC_TEST_DIRECTORY']);
$owner = getmypid();
register_shutdown_function(static function () use ($owner): void {
    // Not in a process that a test has forked.
    if (getmypid() === $owner) {
        (new Symfony\Component\Filesystem\Filesystem())->remove($_SERVER['OROSYNC_TEST_DIRECTORY']);
    }
});
