<?php

declare(strict_types=1);

use Orosync\Tests\FreshApplication\Kernel;
use Symfony\Component\HttpFoundation\Request;

// With PHP's built-in server, existing files are served as they are.
if (is_file(__DIR__ . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH))) {
    return false;
}

require getenv('OROSYNC_TEST_BOOTSTRAP');

$kernel = new Kernel(dirname(__DIR__), getenv('APP_ENV') ?: 'dev');
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
