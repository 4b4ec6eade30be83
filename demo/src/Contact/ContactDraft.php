<?php

declare(strict_types=1);

namespace Demo\Contact;

use Demo\Entity\Company;
use Demo\Record\Draft;

final class ContactDraft extends Draft
{
    public string $name = '';
    public ?Company $company = null;
    public string $email = '';
    public string $phone = '';
    public string $notes = '';

    public function facts(): array
    {
        return [
            'Name' => $this->name,
            'Company' => $this->company?->getName() ?? '',
            'E-mail' => $this->email,
            'Phone' => $this->phone,
            'Notes' => $this->notes,
        ];
    }
}
