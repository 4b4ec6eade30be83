<?php

declare(strict_types=1);

namespace Demo\Import;

/** The message to the worker: do this import. */
final class RunImport
{
    public function __construct(public readonly int $import)
    {
    }
}
