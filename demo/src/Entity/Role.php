<?php

declare(strict_types=1);

namespace Demo\Entity;

/** What somebody who signs in may do; `access_control` in config/packages.php says which pages that are. */
enum Role: string
{
    case Admin = 'admin';
    case Sales = 'sales';
    case Customer = 'customer';

    /** As Symfony's security names it. */
    public function name(): string
    {
        return 'ROLE_' . strtoupper($this->value);
    }
}
