<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Company;
use Demo\Entity\Contact;
use Demo\Entity\Stage;
use Demo\Record\Draft;

final class DealDraft extends Draft
{
    public string $name = '';
    public ?Contact $contact = null;
    public int $value = 0;
    public Stage $stage = Stage::Lead;

    /** The company of a deal cannot be changed. */
    public function __construct(public readonly Company $company)
    {
    }

    public function facts(): array
    {
        return [
            'Name' => $this->name,
            'Contact' => $this->contact?->getName() ?? '',
            'Value' => '€ ' . number_format($this->value),
            'Stage' => $this->stage->label(),
        ];
    }
}
