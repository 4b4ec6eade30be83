<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Record\Draft;
use Doctrine\ORM\Mapping as ORM;

/**
 * Base class of records that several users edit. Neither this class nor its children are final, because Doctrine may use
 * proxies.
 *
 * The version is for Doctrine's optimistic locking: every save increments it, and a save of an older version is refused.
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

    /** Name for users. */
    abstract public function getName(): string;

    /** Its current fields, for a form. */
    abstract public function draft(): Draft;

    /** Applies the draft; `false` if nothing changed. */
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
