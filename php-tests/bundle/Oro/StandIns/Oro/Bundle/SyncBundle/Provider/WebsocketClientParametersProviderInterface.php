<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Provider;

/** Since 5.1, which supports DSNs; 5.0 does not have this interface. */
interface WebsocketClientParametersProviderInterface
{
}
