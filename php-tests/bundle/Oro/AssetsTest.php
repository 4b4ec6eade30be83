<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use PHPUnit\Framework\Attributes\DataProvider;

/** Assets that Symfony's assets:install publishes in an Oro application; oro:assets:install runs it first. */
final class AssetsTest extends OroTestCase
{
    /**
     * @param array<string, bool> $options
     *
     * @dataProvider manners
     */
    #[DataProvider('manners')]
    public function testOrosAssetsAreKeptAndTheBundlesAreNotPublished(array $options): void
    {
        $published = $this->install([], $options);

        self::assertContains('orosync', $published);
        self::assertNotContains('orosynclive', $published);
    }

    /**
     * @param array<string, bool> $options
     *
     * @dataProvider manners
     */
    #[DataProvider('manners')]
    public function testTheAssetsOfAManuallyRegisteredBundleArePublishedBesideOros(array $options): void
    {
        $published = $this->install(['bundle by hand'], $options);

        self::assertContains('orosync', $published);
        self::assertContains('orosynclive', $published);
    }

    public static function manners(): iterable
    {
        yield 'copied' => [[]];
        yield 'linked' => [['--symlink' => true]];
        yield 'linked, the application may move' => [['--symlink' => true, '--relative' => true]];
    }

    /**
     * @param list<string>        $with
     * @param array<string, bool> $options
     *
     * @return list<string> the directories, after a look at Oro's
     */
    private function install(array $with, array $options): array
    {
        $this->boot(with: $with);
        $public = getenv('BUNDLE_TEST_DIRECTORY') . '/public-' . bin2hex(random_bytes(4));
        mkdir($public);
        $console = $this->console();

        self::assertSame(0, $console->run(['command' => 'assets:install', 'target' => $public] + $options), $console->getDisplay());
        self::assertFileEquals(
            __DIR__ . '/StandIns/Oro/Bundle/SyncBundle/Resources/public/js/sync.js',
            $public . '/bundles/orosync/js/sync.js',
        );
        self::assertFileDoesNotExist($public . '/bundles/orosync/index.js');

        return array_values(array_diff(scandir($public . '/bundles'), ['.', '..']));
    }
}
