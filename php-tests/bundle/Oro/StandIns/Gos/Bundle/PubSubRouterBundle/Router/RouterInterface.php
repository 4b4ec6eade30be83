<?php

declare(strict_types=1);

namespace Gos\Bundle\PubSubRouterBundle\Router;

interface RouterInterface
{
    public function getCollection(): RouteCollection;

    public function getName(): string;
}
