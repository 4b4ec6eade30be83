<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Record\Draft;
use Doctrine\ORM\Mapping as ORM;

/**
 * What several users edit. Not final, as its children are not: Doctrine may put a proxy in their place.
 *
 * The version is Doctrine's optimistic lock: every save raises it, and a save of an older version is refused.
 */
#[ORM\MappedSuperclass]
abstract class Record
{
    #[ORM\Id]
    #[ORM\GeneratedValue]
    #[ORM\Column]
    private ?int $id = null;

    #[ORM\Version]
    #[ORM\Column(type: 'integer')]
    private int $version = 1;

    #[ORM\Column]
    private string $savedBy;

    #[ORM\Column]
    private \DateTimeImmutable $savedAt;

    public function __construct(Draft $draft, string $savedBy, \DateTimeImmutable $savedAt)
    {
        $this->take($draft);
        $this->sign($savedBy, $savedAt);
    }

    /** What people call it. */
    abstract public function getName(): string;

    /** What it says now, for a form. */
    abstract public function draft(): Draft;

    /** Takes over what the draft says; `false` if that is what the record says already. */
    public function change(Draft $draft, string $savedBy, \DateTimeImmutable $savedAt): bool
    {
        if ($draft->differences($this->draft()) === []) {
            return false;
        }
        $this->take($draft);
        $this->sign($savedBy, $savedAt);

        return true;
    }

    public function getId(): ?int
    {
        return $this->id;
    }

    public function getVersion(): int
    {
        return $this->version;
    }

    public function getSavedBy(): string
    {
        return $this->savedBy;
    }

    public function getSavedAt(): \DateTimeImmutable
    {
        return $this->savedAt;
    }

    abstract protected function take(Draft $draft): void;

    protected function sign(string $savedBy, \DateTimeImmutable $savedAt): void
    {
        $this->savedBy = $savedBy;
        $this->savedAt = $savedAt;
    }
}
