<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Authentication\Origin;

final class ApplicationOriginProvider implements OriginProviderInterface
{
    public function __construct(private readonly string $url)
    {
    }

    public function getOrigins(): array
    {
        return [parse_url($this->url, \PHP_URL_HOST)];
    }
}
