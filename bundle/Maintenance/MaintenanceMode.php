<?php

declare(strict_types=1);

namespace Orosync\Maintenance;

/**
 * A maintenance mode for applications without their own: a file exists while it is on.
 *
 * It does not block requests. The application decides about them with isOn(), or the web server checks for the file.
 */
final class MaintenanceMode
{
    public function __construct(
        private readonly string $file,
        private readonly MaintenanceAnnouncer $announcer,
    ) {
    }

    /** @return bool whether the announcement was accepted; repeated if it was already on */
    public function on(): bool
    {
        $directory = \dirname($this->file);
        if (!is_dir($directory) && !@mkdir($directory, recursive: true) && !is_dir($directory)) {
            throw $this->failure('create the directory of');
        }
        if (false === @file_put_contents($this->file, date(\DATE_ATOM) . "\n")) {
            throw $this->failure('write');
        }

        return $this->announcer->announceOn();
    }

    /** @return bool whether the announcement was accepted; repeated if it was already off */
    public function off(): bool
    {
        if (!@unlink($this->file) && $this->isOn()) {
            throw $this->failure('remove');
        }

        return $this->announcer->announceOff();
    }

    public function isOn(): bool
    {
        // PHP caches the result of stat(), and a worker is long-lived.
        clearstatcache(true, $this->file);

        return is_file($this->file);
    }

    private function failure(string $what): \RuntimeException
    {
        return new \RuntimeException(sprintf(
            'Cannot %s "%s": %s. Check its permissions, or set orosync.maintenance.flag_file to a place that the '
            . 'console and the web server may both write.',
            $what,
            $this->file,
            error_get_last()['message'] ?? 'unknown reason',
        ));
    }
}
