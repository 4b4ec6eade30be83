<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Composer\Semver\Semver;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** Composer adds the bundle to an Oro application without changing its locked packages. */
final class ComposerTest extends TestCase
{
    /** Tags of platform-application whose composer.lock files are the columns of LOCKED. */
    private const APPLICATIONS = ['5.0.10', '5.1.8', '6.0.6', '6.1.8', '7.0.1'];

    /** Versions in these lock files of the packages that composer.json requires or conflicts with. PHP: the platform's minimum. */
    private const LOCKED = [
        'php'                            => ['8.1.0', '8.2.0', '8.3.0', '8.4.0', '8.5.0'],
        'doctrine/dbal'                  => ['2.13.7', '2.13.9', '2.13.9', '2.13.9', '3.10.5'],
        'doctrine/orm'                   => ['2.10.2', '2.14.3', '2.15.5', '2.15.5', '2.20.10'],
        'psr/log'                        => ['1.1.4', '1.1.4', '1.1.4', '1.1.4', '2.0.0'],
        'symfony/config'                 => ['5.4.21', '5.4.40', '6.4.14', '6.4.34', '7.4.8'],
        'symfony/console'                => ['5.4.3', '5.4.41', '6.4.17', '6.4.36', '7.4.8'],
        'symfony/dependency-injection'   => ['5.4.3', '5.4.40', '6.4.10', '6.4.10', '7.4.8'],
        'symfony/framework-bundle'       => ['5.4.4', '5.4.34', '6.4.10', '6.4.10', '7.4.8'],
        'symfony/http-foundation'        => ['5.4.3', '5.4.40', '6.4.18', '6.4.35', '7.4.8'],
        'symfony/http-kernel'            => ['5.4.20', '5.4.41', '6.4.19', '6.4.36', '7.4.8'],
        'symfony/routing'                => ['5.4.22', '5.4.40', '6.4.18', '6.4.34', '7.4.8'],
        'symfony/service-contracts'      => ['2.5.2', '2.5.3', '2.5.4', '3.6.1', '3.6.1'],
    ];

    /** @dataProvider applications */
    #[DataProvider('applications')]
    public function testTheLockedPackagesOfOroApplicationsAreAccepted(int $column): void
    {
        $composer = self::composer();

        foreach ($composer['require'] as $package => $range) {
            $version = self::LOCKED[$package][$column];
            self::assertTrue(Semver::satisfies($version, $range), sprintf('%s %s is not %s', $package, $version, $range));
        }
        foreach ($composer['conflict'] as $package => $range) {
            $version = self::LOCKED[$package][$column];
            self::assertFalse(Semver::satisfies($version, $range), sprintf('%s %s is refused by %s', $package, $version, $range));
        }
    }

    public static function applications(): iterable
    {
        foreach (self::APPLICATIONS as $column => $version) {
            yield 'OroPlatform ' . $version => [$column];
        }
    }

    /** @return array<string, array<string, string>> */
    private static function composer(): array
    {
        return json_decode(file_get_contents(\dirname(__DIR__, 3) . '/composer.json'), true, 512, \JSON_THROW_ON_ERROR);
    }
}
