<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Orosync\OrosyncBundle;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Yaml\Yaml;

final class RegistrationTest extends TestCase
{
    public function testAnOroApplicationFindsTheBundleByItself(): void
    {
        // Oro's kernel looks for this file in every directory of vendor that has a directory Resources.
        $file = (new OrosyncBundle())->getPath() . '/Resources/config/oro/bundles.yml';

        self::assertSame(['bundles' => [OrosyncBundle::class]], Yaml::parseFile($file));
    }
}
