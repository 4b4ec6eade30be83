<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\Tests\Installation;
use PHPUnit\Framework\Attributes\PreserveGlobalState;
use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;

/**
 * @runTestsInSeparateProcesses
 *
 * @preserveGlobalState disabled
 */
#[RunTestsInSeparateProcesses]
#[PreserveGlobalState(false)]
final class TransactionUnderDbal2Test extends TransactionTest
{
    protected function setUp(): void
    {
        if (!Installation::hasOlderDoctrine()) {
            self::markTestSkipped('DBAL 2 cannot be simulated with DBAL 4.');
        }
        parent::setUp();
    }

    /** A connection whose wrapper class is not the bundle's. */
    protected function tagsOfAnOwnConnectionLeave(): void
    {
        self::assertSame(['[' . self::COMPANIES . ']'], $this->publisher()->take(self::TOPIC));
    }
}
