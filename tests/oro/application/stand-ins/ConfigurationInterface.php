<?php

declare(strict_types=1);

namespace Sensio\Bundle\FrameworkExtraBundle\Configuration;

/**
 * Replaces the interface that Oro's attribute CsrfProtection implements up to 6.1. SensioFrameworkExtraBundle is missing, and
 * therefore Oro's check of the CSRF cookie.
 */
interface ConfigurationInterface
{
    public function getAliasName();

    public function allowArray();
}
