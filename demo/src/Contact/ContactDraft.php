<?php

declare(strict_types=1);

namespace Demo\Contact;

use Demo\Entity\Contact;

/** What a form says about a contact, and the version that its author was looking at; 0 for a new contact. */
final class ContactDraft
{
    private const LABELS = [
        'name' => 'Name',
        'company' => 'Company',
        'email' => 'E-mail',
        'phone' => 'Phone',
        'notes' => 'Notes',
    ];

    public string $name = '';
    public string $company = '';
    public string $email = '';
    public string $phone = '';
    public string $notes = '';
    public int $version = 0;

    public static function of(Contact $contact): self
    {
        $draft = new self();
        $draft->name = $contact->getName();
        $draft->company = $contact->getCompany();
        $draft->email = $contact->getEmail();
        $draft->phone = $contact->getPhone();
        $draft->notes = $contact->getNotes();
        $draft->version = $contact->getVersion();

        return $draft;
    }

    /**
     * Where the two say different things; versions are not compared.
     *
     * @return list<array{label: string, mine: string, theirs: string}>
     */
    public function differences(self $theirs): array
    {
        $differences = [];
        foreach (self::LABELS as $field => $label) {
            if ($this->$field !== $theirs->$field) {
                $differences[] = ['label' => $label, 'mine' => $this->$field, 'theirs' => $theirs->$field];
            }
        }

        return $differences;
    }
}
