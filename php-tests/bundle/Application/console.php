<?php

declare(strict_types=1);

/** The `bin/console` of an application whose configuration comes from OROSYNC_TEST_KERNEL: the kernel's arguments as JSON. */

require dirname(__DIR__).'/bootstrap.php';

$kernel = new Orosync\Tests\Application\Kernel(...json_decode(getenv('OROSYNC_TEST_KERNEL') ?: '[]', true, 512, JSON_THROW_ON_ERROR));
(new Symfony\Bundle\FrameworkBundle\Console\Application($kernel))->run();
