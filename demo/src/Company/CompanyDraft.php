<?php

declare(strict_types=1);

namespace Demo\Company;

use Demo\Record\Draft;

final class CompanyDraft extends Draft
{
    public string $name = '';
    public string $city = '';
    public string $phone = '';
    public string $notes = '';

    public function facts(): array
    {
        return [
            'Name' => $this->name,
            'City' => $this->city,
            'Phone' => $this->phone,
            'Notes' => $this->notes,
        ];
    }
}
