<?php

declare(strict_types=1);

namespace Gos\Component\WebSocketClient\Exception;

class WebsocketException extends \RuntimeException
{
}
