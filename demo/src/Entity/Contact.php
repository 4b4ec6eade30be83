<?php

declare(strict_types=1);

namespace Demo\Entity;

use Demo\Contact\ContactDraft;
use Demo\Record\Draft;
use Doctrine\ORM\Mapping as ORM;

/** A person, with or without a company. */
#[ORM\Entity]
#[ORM\Table(name: 'contact')]
#[ORM\Index(columns: ['name'])]
class Contact extends Record
{
    #[ORM\Column]
    private string $name;

    #[ORM\ManyToOne(inversedBy: 'contacts')]
    private ?Company $company;

    #[ORM\Column]
    private string $email;

    #[ORM\Column]
    private string $phone;

    #[ORM\Column(type: 'text')]
    private string $notes;

    public function getName(): string
    {
        return $this->name;
    }

    public function getCompany(): ?Company
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

    public function draft(): ContactDraft
    {
        $draft = new ContactDraft();
        $draft->name = $this->name;
        $draft->company = $this->company;
        $draft->email = $this->email;
        $draft->phone = $this->phone;
        $draft->notes = $this->notes;
        $draft->version = $this->getVersion();

        return $draft;
    }

    protected function take(Draft $draft): void
    {
        \assert($draft instanceof ContactDraft);
        $this->name = $draft->name;
        $this->company = $draft->company;
        $this->email = $draft->email;
        $this->phone = $draft->phone;
        $this->notes = $draft->notes;
    }
}
