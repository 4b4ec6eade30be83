<?php

declare(strict_types=1);

namespace Demo\Entity;

/** The stage of a deal: the columns of the board, from left to right. */
enum Stage: string
{
    case Lead = 'lead';
    case Qualified = 'qualified';
    case Proposal = 'proposal';
    case Won = 'won';
    case Lost = 'lost';

    /** Label for the back office. */
    public function label(): string
    {
        return $this->name;
    }

    /** Label for customers. */
    public function labelForCustomer(): string
    {
        return match ($this) {
            self::Lead => 'Enquiry received',
            self::Qualified => 'Being prepared',
            self::Proposal => 'Offer sent',
            self::Won => 'Ordered',
            self::Lost => 'Closed',
        };
    }

    public function previous(): ?self
    {
        return $this->neighbour(-1);
    }

    public function next(): ?self
    {
        return $this->neighbour(1);
    }

    private function neighbour(int $steps): ?self
    {
        return self::cases()[array_search($this, self::cases(), true) + $steps] ?? null;
    }
}
