<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** The browser client as an asset. {@see \Orosync\Tests\PackageTest} compares bundle/public with js/src. */
final class AssetsTest extends TestCase
{
    private const SOURCE = __DIR__ . '/../../../js/src';

    /**
     * @param list<string> $options
     *
     * @dataProvider manners
     */
    #[DataProvider('manners')]
    public function testTheWholeClientIsInstalled(array $options): void
    {
        $project = (new Project())->withBundle();
        $project->console(['assets:install', ...$options])->mustRun();
        $installed = $project->directory . '/public/bundles/orosynclive';

        self::assertSame(scandir(self::SOURCE), scandir($installed));
        foreach (glob(self::SOURCE . '/*') as $file) {
            self::assertFileEquals($file, $installed . '/' . basename($file));
        }
    }

    public static function manners(): iterable
    {
        yield 'copied' => [[]];
        yield 'linked' => [['--symlink']];
        yield 'linked, the application may move' => [['--symlink', '--relative']];
    }
}
