<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Authentication\Origin;

interface OriginProviderInterface
{
    /** @return list<string> */
    public function getOrigins(): array;
}
