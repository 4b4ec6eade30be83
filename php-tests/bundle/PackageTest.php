<?php

declare(strict_types=1);

namespace Orosync\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Filesystem\Filesystem;
use Symfony\Component\Finder\Finder;
use Symfony\Component\Process\ExecutableFinder;
use Symfony\Component\Process\Process;

/** The contents of vendor/orosync/orosync for each kind of repository, installed with the real Composer. */
final class PackageTest extends TestCase
{
    private const REPOSITORY = __DIR__ . '/../..';

    private const CONTENT = ['CHANGELOG.md', 'LICENSE', 'README.md', 'bundle', 'composer.json', 'js'];

    public function testTheAssetOfTheBundleIsTheBrowserClient(): void
    {
        self::assertFalse(is_link(self::REPOSITORY . '/bundle/public'), 'an archive needs no link');
        self::assertSame(
            self::contents(self::REPOSITORY . '/js/src'),
            self::contents(self::REPOSITORY . '/bundle/public'),
            'bundle/public is not what js/src is: run make client',
        );
    }

    public function testOnlyPolyfilledFunctionsOfMbstringAreUsed(): void
    {
        $used = [];
        foreach ((new Finder())->in(self::REPOSITORY . '/bundle')->files()->name('*.php') as $file) {
            preg_match_all('~\bmb_\w+(?=\()~', $file->getContents(), $calls);
            array_push($used, ...$calls[0]);
        }

        self::assertSame(['mb_scrub'], array_values(array_unique($used)), 'each must be in symfony/polyfill-mbstring');
    }

    public function testAMirroredPathRepositoryContainsOnlyThePackage(): void
    {
        $clone = self::cloneWithBuilds();
        $package = self::install(['type' => 'path', 'url' => $clone], ['COMPOSER_MIRROR_PATH_REPOS' => '1']);

        self::assertFalse(is_link($package));
        self::assertIsThePackage($package);
    }

    public function testASymlinkedPathRepositoryIsTheClone(): void
    {
        $clone = self::cloneWithBuilds();
        $package = self::install(['type' => 'path', 'url' => $clone], []);

        self::assertTrue(is_link($package));
        self::assertSame(realpath($clone), realpath($package));
        self::assertHasTheClient($package);
    }

    public function testAVcsRepositoryInstallsACommit(): void
    {
        $package = self::install(['type' => 'vcs', 'url' => self::cloneWithBuilds()], []);

        self::assertFileDoesNotExist($package . '/target');
        self::assertHasTheClient($package);
    }

    /** @dataProvider archives */
    #[DataProvider('archives')]
    public function testAnArchiveContainsOnlyThePackage(string ...$command): void
    {
        $clone = self::cloneWithBuilds();
        $directory = self::directory('archive');
        self::outputOf($clone, str_replace('DIRECTORY', $directory, $command));
        (new \PharData($directory . '/package.tar'))->extractTo($directory . '/content');

        self::assertIsThePackage($directory . '/content');
    }

    /** @return iterable<string, list<string>> */
    public static function archives(): iterable
    {
        yield 'of Composer' => ['composer', 'archive', '--format=tar', '--dir=DIRECTORY', '--file=package', '--no-interaction'];
        yield 'of Git, as GitHub and GitLab make them' => ['git', 'archive', '--output=DIRECTORY/package.tar', 'HEAD'];
    }

    /** A clone with a commit of this repository and build results, in which Composer scans all files. */
    private static function cloneWithBuilds(): string
    {
        if (!file_exists(self::REPOSITORY . '/.git')) {
            self::markTestSkipped('Needs a git clone, which lists the files of the repository.');
        }
        $clone = self::directory('clone');
        $files = new Filesystem();
        $listed = self::outputOf(self::REPOSITORY, ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']);
        foreach (array_filter(explode("\0", $listed)) as $path) {
            $file = self::REPOSITORY . '/' . $path;
            if (is_link($file)) {
                $files->symlink(readlink($file), $clone . '/' . $path);
            } elseif (is_file($file)) {
                $files->copy($file, $clone . '/' . $path);
            }
        }
        self::outputOf($clone, ['git', 'init', '--quiet', '--initial-branch=main']);
        self::outputOf($clone, ['git', 'add', '--all']);
        self::outputOf($clone, ['git', 'commit', '--quiet', '--no-verify', '--message=All of it']);
        foreach (['target/release/orosync-server', 'js/node_modules/ws/index.js', 'demo/var/demo.sqlite', 'vendor/autoload.php'] as $built) {
            $files->dumpFile($clone . '/' . $built, 'not for an application');
        }

        return $clone;
    }

    /**
     * Requires the bundle in an application, with stand-ins for missing packages.
     *
     * @param array<string, mixed>  $repository
     * @param array<string, string> $environment
     *
     * @return string where it is
     */
    private static function install(array $repository, array $environment): string
    {
        $application = self::directory('application');
        $required = json_decode(file_get_contents(self::REPOSITORY . '/composer.json'), true, 512, \JSON_THROW_ON_ERROR)['require'];
        unset($required['php']);
        (new Filesystem())->dumpFile($application . '/composer.json', json_encode([
            'name' => 'acme/application',
            'repositories' => [['packagist.org' => false], $repository],
            'require' => ['orosync/orosync' => '@dev'],
            'provide' => $required,
        ], \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES));
        self::outputOf($application, ['composer', 'update', '--no-interaction', '--no-progress', '--no-plugins', '--no-scripts'], $environment);

        return $application . '/vendor/orosync/orosync';
    }

    private static function assertIsThePackage(string $directory): void
    {
        self::assertSame(self::CONTENT, self::names($directory));
        self::assertSame(['README.md', 'package-lock.json', 'package.json', 'src', 'tsconfig.json'], self::names($directory . '/js'));
        self::assertSame(self::names(self::REPOSITORY . '/bundle'), self::names($directory . '/bundle'));
        self::assertHasTheClient($directory);
    }

    private static function assertHasTheClient(string $directory): void
    {
        self::assertFalse(is_link($directory . '/bundle/public'));
        self::assertSame(self::contents(self::REPOSITORY . '/js/src'), self::contents($directory . '/bundle/public'));
    }

    /** @return list<string> */
    private static function names(string $directory): array
    {
        return array_values(array_diff(scandir($directory), ['.', '..']));
    }

    /** @return array<string, string> */
    private static function contents(string $directory): array
    {
        $contents = [];
        foreach (self::names($directory) as $name) {
            $contents[$name] = file_get_contents($directory . '/' . $name);
        }

        return $contents;
    }

    private static function directory(string $name): string
    {
        $directory = getenv('BUNDLE_TEST_DIRECTORY') . '/' . $name . '-' . bin2hex(random_bytes(4));
        (new Filesystem())->mkdir($directory);

        return $directory;
    }

    /**
     * @param list<string>          $command
     * @param array<string, string> $environment
     */
    private static function outputOf(string $directory, array $command, array $environment = []): string
    {
        if (null === (new ExecutableFinder())->find($command[0])) {
            $message = sprintf('"%s" is not there. Install it: scripts/install-deps test', $command[0]);
            '1' === getenv('OROSYNC_EXTENSION_REQUIRED') ? self::fail($message) : self::markTestSkipped($message);
        }

        return (new Process($command, $directory, $environment + [
            'COMPOSER_HOME' => getenv('BUNDLE_TEST_DIRECTORY') . '/composer',
            'COMPOSER_ALLOW_SUPERUSER' => '1',
            'COMPOSER_ROOT_VERSION' => 'dev-main',
            'GIT_AUTHOR_NAME' => 'A test',
            'GIT_AUTHOR_EMAIL' => 'test@example.com',
            'GIT_COMMITTER_NAME' => 'A test',
            'GIT_COMMITTER_EMAIL' => 'test@example.com',
        ], null, 120))->mustRun()->getOutput();
    }
}
