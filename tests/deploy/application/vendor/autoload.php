<?php

declare(strict_types=1);

/*
 * Stands for what Composer writes: Symfony comes from Debian's packages, the bundle from /srv/orosync.
 */

foreach (
    [
        'Bundle/FrameworkBundle', 'Bundle/TwigBundle', 'Component/Asset', 'Component/Console', 'Component/Process', 'Component/Yaml',
    ] as $package
) {
    require '/usr/share/php/Symfony/' . $package . '/autoload.php';
}
require '/usr/share/php/Twig/autoload.php';

spl_autoload_register(static function (string $class): void {
    foreach (['App\\' => dirname(__DIR__) . '/src/', 'Orosync\\' => '/srv/orosync/bundle/'] as $prefix => $directory) {
        $file = $directory . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;

            return;
        }
    }
});
