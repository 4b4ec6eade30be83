<?php

declare(strict_types=1);

namespace Demo\Entity;

use Doctrine\ORM\Mapping as ORM;
use Orosync\ContentTag\Untracked;

/** An import of contacts. Pages use its own topic instead of content tags, so its changes are not announced. */
#[ORM\Entity]
#[ORM\Table(name: 'import')]
#[Untracked]
class Import
{
    #[ORM\Id]
    #[ORM\GeneratedValue]
    #[ORM\Column]
    private ?int $id = null;

    #[ORM\Column(enumType: ImportState::class)]
    private ImportState $state = ImportState::Waiting;

    #[ORM\Column]
    private \DateTimeImmutable $changedAt;

    public function __construct(
        #[ORM\Column]
        private int $total,
        #[ORM\Column]
        private string $startedBy,
        #[ORM\Column]
        private \DateTimeImmutable $startedAt,
    ) {
        $this->changedAt = $startedAt;
    }

    public function become(ImportState $state, \DateTimeImmutable $at): void
    {
        $this->state = $state;
        $this->changedAt = $at;
    }

    public function getId(): ?int
    {
        return $this->id;
    }

    public function getState(): ImportState
    {
        return $this->state;
    }

    public function getTotal(): int
    {
        return $this->total;
    }

    public function getStartedBy(): string
    {
        return $this->startedBy;
    }

    public function getStartedAt(): \DateTimeImmutable
    {
        return $this->startedAt;
    }

    public function getChangedAt(): \DateTimeImmutable
    {
        return $this->changedAt;
    }
}
