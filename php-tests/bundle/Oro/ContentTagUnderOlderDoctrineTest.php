<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Orosync\Tests\Installation;
use PHPUnit\Framework\Attributes\PreserveGlobalState;
use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;

/**
 * With the Doctrine of Oro 5.0 to 6.1.
 *
 * @runTestsInSeparateProcesses
 *
 * @preserveGlobalState disabled
 */
#[RunTestsInSeparateProcesses]
#[PreserveGlobalState(false)]
final class ContentTagUnderOlderDoctrineTest extends ContentTagTest
{
    protected function setUp(): void
    {
        parent::setUp();
        if (!Installation::hasOlderDoctrine()) {
            self::markTestSkipped('DBAL 2 cannot be simulated with DBAL 4.');
        }
    }
}
