<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Orosync\Oro\OrosyncOroBundle;
use Symfony\Component\Yaml\Yaml;

final class RegistrationTest extends OroTestCase
{
    public function testAnOroApplicationRegistersTheBundleAutomatically(): void
    {
        // Oro's kernel looks for this file in each directory of vendor that contains a directory Resources, but not below such a
        // directory.
        $file = (new OrosyncOroBundle())->getPath() . '/Resources/config/oro/bundles.yml';

        self::assertFileEquals(OroKernel::BUNDLES, $file);
        self::assertSame(['bundles' => [OrosyncOroBundle::class]], Yaml::parseFile($file));
        self::assertDirectoryDoesNotExist(\dirname((new OrosyncOroBundle())->getPath()) . '/Resources');
    }

    public function testTheProfilerHasThePanel(): void
    {
        $twig = $this->boot()->get('twig');

        self::assertTrue($twig->getLoader()->exists('@OrosyncLive/profiler.html.twig'));
    }
}
