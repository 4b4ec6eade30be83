<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\ContentTag\Transaction\HeldTags;
use PHPUnit\Framework\TestCase;

final class HeldTagsTest extends TestCase
{
    public function testEachTagIsKeptOnceAndUnchanged(): void
    {
        $held = new HeldTags(10);
        $held->add(['a', '7', 'a']);
        $held->add(['7', 'b']);

        self::assertSame(['a', '7', 'b'], $held->tags());
        self::assertSame(0, $held->dropped());
    }

    public function testTagsBeyondTheLimitAreCounted(): void
    {
        $held = new HeldTags(2);
        $held->add(['a', 'b', 'c', 'a', 'd']);

        self::assertSame(['a', 'b'], $held->tags());
        self::assertSame(2, $held->dropped());
    }

    public function testTheOldestOfTooManySavepointsIsDropped(): void
    {
        $held = new HeldTags(10);
        for ($i = 0; $i <= 1000; ++$i) {
            $held->setSavepoint('s' . $i);
        }
        $held->add(['a']);
        $held->rollBackTo('s0');
        self::assertSame(['a'], $held->tags());
        $held->rollBackTo('s1');

        self::assertSame([], $held->tags());
    }
}
