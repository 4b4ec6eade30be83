<?php

declare(strict_types=1);

namespace Demo\Entity;

enum ImportState: string
{
    case Waiting = 'waiting';
    case Running = 'running';
    case Done = 'done';
    case Failed = 'failed';

    public function isOver(): bool
    {
        return $this === self::Done || $this === self::Failed;
    }
}
