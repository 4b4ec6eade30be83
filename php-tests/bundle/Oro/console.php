<?php

/** The `bin/console` of a test Oro application. The kernel's arguments are JSON in OROSYNC_TEST_KERNEL. */

declare(strict_types=1);

require dirname(__DIR__) . '/bootstrap.php';

$kernel = new Orosync\Tests\Oro\OroKernel(...json_decode(getenv('OROSYNC_TEST_KERNEL') ?: '[]', true, 512, JSON_THROW_ON_ERROR));
(new Symfony\Bundle\FrameworkBundle\Console\Application($kernel))->run();
