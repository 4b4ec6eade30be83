<?php

declare(strict_types=1);

namespace Sensio\Bundle\FrameworkExtraBundle\Configuration;

/**
 * Stands for what Oro's attribute CsrfProtection implements up to 6.1. SensioFrameworkExtraBundle is not here, and with it
 * Oro's check of the CSRF cookie.
 */
interface ConfigurationInterface
{
    public function getAliasName();

    public function allowArray();
}
