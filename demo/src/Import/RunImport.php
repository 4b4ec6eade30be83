<?php

declare(strict_types=1);

namespace Demo\Import;

/** Message to the worker: run this import. */
final class RunImport
{
    public function __construct(public readonly int $import)
    {
    }
}
