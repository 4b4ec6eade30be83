<?php

declare(strict_types=1);

namespace Orosync\Tests\Application\Entity;

use Doctrine\ORM\Mapping as ORM;
use Orosync\ContentTag\Untracked;

/** Written with every change, but shown on no page. */
#[ORM\Entity]
#[Untracked]
final class AuditEntry
{
    #[ORM\Id, ORM\GeneratedValue, ORM\Column]
    public ?int $id = null;

    public function __construct(#[ORM\Column] public string $text)
    {
    }
}
