<?php

declare(strict_types=1);

namespace Orosync\Check;

/** The extension's php.ini settings of this PHP. */
final class PhpIni
{
    /** Settings that apply only to the functions `orosync_*()`; the bundle has its own. */
    private const OVERRULED = ['orosync.endpoint', 'orosync.secret', 'orosync.secret_file'];

    private const DEFAULT_ENDPOINT = 'ws://127.0.0.1:8080/';

    /** @return array<string, string> the settings with a value, by name: value and file, without secrets */
    public static function overridden(): array
    {
        $set = [];
        foreach (self::OVERRULED as $name) {
            $value = (string) ini_get($name);
            if ('' !== $value && self::DEFAULT_ENDPOINT !== $value) {
                $set[$name] = sprintf('%s (%s)', 'orosync.secret' === $name ? 'set' : $value, self::fileOf($name));
            }
        }

        return $set;
    }

    /** The last file that names a setting wins. */
    private static function fileOf(string $name): string
    {
        $scanned = php_ini_scanned_files();
        $files = array_filter([php_ini_loaded_file(), ...array_map(trim(...), false === $scanned ? [] : explode(',', $scanned))]);
        foreach (array_reverse($files) as $file) {
            $settings = @parse_ini_file($file, false, \INI_SCANNER_RAW);
            if (\is_array($settings) && isset($settings[$name])) {
                return $file;
            }
        }

        return 'on the command line, or by the web server';
    }
}
