<?php

declare(strict_types=1);

namespace Orosync\Tests\DependencyInjection;

use Orosync\DependencyInjection\OrosyncExtension;
use Orosync\Tests\Application\OursCanBeLoaded;
use Orosync\Tests\Installation;
use Orosync\Tests\Oro\StandIns;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\PreserveGlobalState;
use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;
use PHPUnit\Framework\TestCase;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/**
 * OroPlatform 5 loads the class of every service while the container is compiled, including unused ones.
 *
 * @runTestsInSeparateProcesses
 *
 * @preserveGlobalState disabled
 */
#[RunTestsInSeparateProcesses]
#[PreserveGlobalState(false)]
final class RegisteredClassesTest extends TestCase
{
    /**
     * @param list<string> $lacking
     *
     * @dataProvider installations
     */
    #[DataProvider('installations')]
    public function testTheClassOfEveryServiceCanBeLoaded(array $lacking): void
    {
        Installation::lacks(...$lacking);

        self::assertGreaterThan(15, OursCanBeLoaded::check(self::load([])));
    }

    /** @return iterable<string, array{list<string>}> */
    public static function installations(): iterable
    {
        yield 'all' => [[]];
        foreach (Installation::OPTIONAL as $name => $prefixes) {
            yield 'without ' . $name => [$prefixes];
        }
        yield 'without any of them' => [array_merge(...array_values(Installation::OPTIONAL))];
    }

    /**
     * @param list<string> $lacking
     *
     * @dataProvider oroInstallations
     */
    #[DataProvider('oroInstallations')]
    public function testTheClassOfEveryServiceCanBeLoadedInOro(bool $olderDoctrine, array $lacking): void
    {
        if ($olderDoctrine && !Installation::hasOlderDoctrine()) {
            self::markTestSkipped('DBAL 2 cannot be simulated with DBAL 4.');
        }
        Installation::lacks(...$lacking);
        StandIns::register();

        self::assertGreaterThan(15, OursCanBeLoaded::check(self::load(['OroSyncBundle' => 'Oro\Bundle\SyncBundle\OroSyncBundle'])));
    }

    /** @return iterable<string, array{bool, list<string>}> */
    public static function oroInstallations(): iterable
    {
        yield '5.0 to 6.1' => [true, []];
        yield '7.0' => [false, []];
        // Packages that Oro does not require.
        yield '5.0 to 6.1 without Messenger and Notifier' => [true, [...Installation::OPTIONAL['Messenger'], ...Installation::OPTIONAL['Notifier']]];
        yield 'in production' => [false, Installation::OPTIONAL['the profiler']];
    }

    /** @param array<string, string> $bundles */
    private static function load(array $bundles): ContainerBuilder
    {
        $container = new ContainerBuilder();
        $container->setParameter('kernel.bundles', $bundles);
        $container->setParameter('kernel.environment', 'prod');
        $container->setParameter('kernel.project_dir', __DIR__);
        (new OrosyncExtension())->load([], $container);

        return $container;
    }
}
