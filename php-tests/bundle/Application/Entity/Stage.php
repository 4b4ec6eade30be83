<?php

declare(strict_types=1);

namespace Orosync\Tests\Application\Entity;

enum Stage: string
{
    case Open = 'open';
    case Won = 'won';
}
