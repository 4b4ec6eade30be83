<?php

declare(strict_types=1);

// bin/console. With PHP's web server also the front controller: serves the script as /oro.js, everything else with the kernel.

chdir(__DIR__);
if (PHP_SAPI === 'cli-server' && parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/oro.js') {
    header('Content-Type: text/javascript');
    readfile((string) getenv('ORO_JS'));

    return;
}
require __DIR__ . '/autoload.php';
$kernel = new App\Kernel('prod', false);
if (PHP_SAPI === 'cli-server') {
    $request = Symfony\Component\HttpFoundation\Request::createFromGlobals();
    $response = $kernel->handle($request);
    $response->send();
    $kernel->terminate($request, $response);
} else {
    set_time_limit(0);
    (new Symfony\Bundle\FrameworkBundle\Console\Application($kernel))->run();
}
