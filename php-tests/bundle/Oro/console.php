<?php

/** The `bin/console` of an Oro application whose kernel gets its arguments, as JSON, from OROSYNC_TEST_KERNEL. */

declare(strict_types=1);

require dirname(__DIR__) . '/bootstrap.php';

$kernel = new Orosync\Tests\Oro\OroKernel(...json_decode(getenv('OROSYNC_TEST_KERNEL') ?: '[]', true, 512, JSON_THROW_ON_ERROR));
(new Symfony\Bundle\FrameworkBundle\Console\Application($kernel))->run();
