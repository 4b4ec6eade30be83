<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Psr\Log\AbstractLogger;

/** Throws like a Monolog handler that cannot write. */
final class BrokenLogger extends AbstractLogger
{
    public function log($level, $message, array $context = []): void
    {
        throw new \UnexpectedValueException('The stream or file "/var/log/app.log" could not be opened in append mode.');
    }
}
