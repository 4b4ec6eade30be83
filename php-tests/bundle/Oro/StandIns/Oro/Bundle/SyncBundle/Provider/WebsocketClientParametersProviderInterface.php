<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Provider;

/** Since 5.1, which reads DSNs; 5.0 has no such interface. */
interface WebsocketClientParametersProviderInterface
{
}
