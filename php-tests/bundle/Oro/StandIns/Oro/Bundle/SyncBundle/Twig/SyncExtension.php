<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Twig;

use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Twig\Extension\AbstractExtension;
use Twig\TwigFunction;

final class SyncExtension extends AbstractExtension
{
    public function __construct(private readonly ConnectionChecker $checker)
    {
    }

    public function getFunctions(): array
    {
        return [new TwigFunction('check_ws', fn (): bool => $this->checker->checkConnection())];
    }
}
