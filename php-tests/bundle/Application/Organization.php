<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

final class Organization
{
    public function __construct(private readonly int $id)
    {
    }

    public function getId(): int
    {
        return $this->id;
    }
}
