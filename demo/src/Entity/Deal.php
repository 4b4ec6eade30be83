<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Deal\DealDraft;
use Demo\Record\Draft;
use Doctrine\ORM\Mapping as ORM;

/** An offer to a company, with its stage. */
#[ORM\Entity]
#[ORM\Table(name: 'deal')]
class Deal extends Record
{
    #[ORM\Column]
    private string $name;

    #[ORM\ManyToOne(inversedBy: 'deals')]
    #[ORM\JoinColumn(nullable: false)]
    private Company $company;

    #[ORM\ManyToOne]
    private ?Contact $contact;

    /** In euros. */
    #[ORM\Column]
    private int $value;

    #[ORM\Column(enumType: Stage::class)]
    private Stage $stage;

    public function getName(): string
    {
        return $this->name;
    }

    public function getCompany(): Company
    {
        return $this->company;
    }

    public function getContact(): ?Contact
    {
        return $this->contact;
    }

    public function getValue(): int
    {
        return $this->value;
    }

    public function getStage(): Stage
    {
        return $this->stage;
    }

    public function draft(): DealDraft
    {
        $draft = new DealDraft($this->company);
        $draft->name = $this->name;
        $draft->contact = $this->contact;
        $draft->value = $this->value;
        $draft->stage = $this->stage;
        $draft->version = $this->getVersion();

        return $draft;
    }

    protected function take(Draft $draft): void
    {
        \assert($draft instanceof DealDraft);
        $this->name = $draft->name;
        $this->company = $draft->company;
        $this->contact = $draft->contact;
        $this->value = $draft->value;
        $this->stage = $draft->stage;
    }
}
