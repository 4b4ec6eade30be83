<?php

declare(strict_types=1);

use Demo\Kernel;
use Symfony\Component\HttpFoundation\Request;

require dirname(__DIR__) . '/src/autoload.php';

$kernel = new Kernel();
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
