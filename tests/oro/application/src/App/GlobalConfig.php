<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\ConfigBundle\Config\ConfigManager;

/** Oro's configuration with only the application's address. */
final class GlobalConfig extends ConfigManager
{
    public function __construct()
    {
    }

    /**
     * Oro declares it without types.
     *
     * @param string $name
     * @param mixed $default
     * @param bool $full
     * @param mixed $scopeIdentifier
     */
    public function get($name, $default = false, $full = false, $scopeIdentifier = null): mixed
    {
        return 'oro_ui.application_url' === $name ? 'http://127.0.0.1' : null;
    }
}
