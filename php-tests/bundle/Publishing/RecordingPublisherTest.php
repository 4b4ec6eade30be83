<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\RecordingPublisher;

/** The publisher of the other tests fulfils the same contract. */
final class RecordingPublisherTest extends PublisherContractTestCase
{
    protected function unreachable(): PublisherInterface
    {
        return new RecordingPublisher(acknowledges: false);
    }
}
