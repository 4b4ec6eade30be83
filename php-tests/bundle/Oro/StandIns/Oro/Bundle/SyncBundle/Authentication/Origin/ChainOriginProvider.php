<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Authentication\Origin;

final class ChainOriginProvider implements OriginProviderInterface
{
    /** @param iterable<OriginProviderInterface> $providers */
    public function __construct(private readonly iterable $providers)
    {
    }

    public function getOrigins(): array
    {
        $origins = [];
        foreach ($this->providers as $provider) {
            array_push($origins, ...$provider->getOrigins());
        }

        return array_values(array_unique($origins));
    }
}
