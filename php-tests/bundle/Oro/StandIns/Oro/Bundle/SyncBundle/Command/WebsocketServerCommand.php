<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Command;

use Symfony\Component\Console\Command\Command;

final class WebsocketServerCommand extends Command
{
    protected static $defaultName = 'gos:websocket:server';
}
