<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Contact\ContactDraft;
use Doctrine\ORM\Mapping as ORM;

/**
 * A business contact: what several users edit. Not final: Doctrine may put a proxy in its place.
 *
 * The version is Doctrine's optimistic lock: every save raises it, and a save of an older version is refused.
 */
#[ORM\Entity]
#[ORM\Table(name: 'contact')]
class Contact
{
    #[ORM\Id]
    #[ORM\GeneratedValue]
    #[ORM\Column]
    private ?int $id = null;

    #[ORM\Version]
    #[ORM\Column(type: 'integer')]
    private int $version = 1;

    #[ORM\Column]
    private string $name = '';

    #[ORM\Column]
    private string $company = '';

    #[ORM\Column]
    private string $email = '';

    #[ORM\Column]
    private string $phone = '';

    #[ORM\Column(type: 'text')]
    private string $notes = '';

    #[ORM\Column]
    private string $savedBy = '';

    #[ORM\Column]
    private \DateTimeImmutable $savedAt;

    public function __construct(ContactDraft $draft, string $savedBy, \DateTimeImmutable $savedAt)
    {
        $this->take($draft, $savedBy, $savedAt);
    }

    /** Takes over what the draft says; `false` if that is what the contact says already. */
    public function change(ContactDraft $draft, string $savedBy, \DateTimeImmutable $savedAt): bool
    {
        if ($draft->differences(ContactDraft::of($this)) === []) {
            return false;
        }
        $this->take($draft, $savedBy, $savedAt);

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

    public function getName(): string
    {
        return $this->name;
    }

    public function getCompany(): string
    {
        return $this->company;
    }

    public function getEmail(): string
    {
        return $this->email;
    }

    public function getPhone(): string
    {
        return $this->phone;
    }

    public function getNotes(): string
    {
        return $this->notes;
    }

    public function getSavedBy(): string
    {
        return $this->savedBy;
    }

    public function getSavedAt(): \DateTimeImmutable
    {
        return $this->savedAt;
    }

    private function take(ContactDraft $draft, string $savedBy, \DateTimeImmutable $savedAt): void
    {
        $this->name = $draft->name;
        $this->company = $draft->company;
        $this->email = $draft->email;
        $this->phone = $draft->phone;
        $this->notes = $draft->notes;
        $this->savedBy = $savedBy;
        $this->savedAt = $savedAt;
    }
}
