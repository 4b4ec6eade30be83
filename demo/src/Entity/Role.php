<?php

declare(strict_types=1);

namespace Demo\Entity;

/** The role of a user; `access_control` in config/packages.php maps it to pages. */
enum Role: string
{
    case Admin = 'admin';
    case Sales = 'sales';
    case Customer = 'customer';

    /** Its name in Symfony's security. */
    public function name(): string
    {
        return 'ROLE_' . strtoupper($this->value);
    }
}
