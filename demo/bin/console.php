<?php

/** The application's console. Run `bin/console`: it starts PHP with the settings of the running demo. */

declare(strict_types=1);

use Demo\Kernel;
use Symfony\Bundle\FrameworkBundle\Console\Application;

require dirname(__DIR__) . '/src/autoload.php';

(new Application(new Kernel()))->run();
