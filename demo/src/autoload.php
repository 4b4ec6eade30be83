<?php

/**
 * Loads the classes of the demo, of the bundle, and of Debian's Symfony, Twig and Doctrine packages. An application with
 * Composer has `vendor/autoload.php` instead.
 */

declare(strict_types=1);

foreach (
    [
        'Symfony/Bundle/FrameworkBundle',
        'Symfony/Bundle/SecurityBundle',
        'Symfony/Bundle/TwigBundle',
        'Symfony/Bundle/WebProfilerBundle',
        'Symfony/Bridge/Doctrine',
        'Symfony/Bridge/ProxyManager',
        'Symfony/Component/Form',
        'Symfony/Component/Messenger',
        'Symfony/Component/Messenger/Bridge/Doctrine',
        'Symfony/Component/Validator',
        'Symfony/Component/Yaml',
        'Doctrine/ORM',
    ] as $package
) {
    require_once "/usr/share/php/$package/autoload.php";
}

spl_autoload_register(static function (string $class): void {
    $roots = ['Demo\\' => __DIR__ . '/', 'Orosync\\' => dirname(__DIR__, 2) . '/bundle/'];
    foreach ($roots as $prefix => $directory) {
        if (!str_starts_with($class, $prefix)) {
            continue;
        }
        $file = $directory . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
