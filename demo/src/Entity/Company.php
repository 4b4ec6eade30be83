<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Company\CompanyDraft;
use Demo\Record\Draft;
use Doctrine\Common\Collections\ArrayCollection;
use Doctrine\Common\Collections\Collection;
use Doctrine\ORM\Mapping as ORM;

/** A company, with its contacts and deals. */
#[ORM\Entity]
#[ORM\Table(name: 'company')]
class Company extends Record
{
    #[ORM\Column(unique: true)]
    private string $name;

    #[ORM\Column]
    private string $city;

    #[ORM\Column]
    private string $phone;

    #[ORM\Column(type: 'text')]
    private string $notes;

    /** @var Collection<int, Contact>|null null: not yet managed by Doctrine */
    #[ORM\OneToMany(mappedBy: 'company', targetEntity: Contact::class)]
    #[ORM\OrderBy(['name' => 'ASC'])]
    private ?Collection $contacts = null;

    /** @var Collection<int, Deal>|null null: not yet managed by Doctrine */
    #[ORM\OneToMany(mappedBy: 'company', targetEntity: Deal::class)]
    #[ORM\OrderBy(['name' => 'ASC'])]
    private ?Collection $deals = null;

    public function getName(): string
    {
        return $this->name;
    }

    public function getCity(): string
    {
        return $this->city;
    }

    public function getPhone(): string
    {
        return $this->phone;
    }

    public function getNotes(): string
    {
        return $this->notes;
    }

    /** @return Collection<int, Contact> */
    public function getContacts(): Collection
    {
        return $this->contacts ??= new ArrayCollection();
    }

    /** @return Collection<int, Deal> */
    public function getDeals(): Collection
    {
        return $this->deals ??= new ArrayCollection();
    }

    public function draft(): CompanyDraft
    {
        $draft = new CompanyDraft();
        $draft->name = $this->name;
        $draft->city = $this->city;
        $draft->phone = $this->phone;
        $draft->notes = $this->notes;
        $draft->version = $this->getVersion();

        return $draft;
    }

    protected function take(Draft $draft): void
    {
        \assert($draft instanceof CompanyDraft);
        $this->name = $draft->name;
        $this->city = $draft->city;
        $this->phone = $draft->phone;
        $this->notes = $draft->notes;
    }
}
