<?php

declare(strict_types=1);

namespace Gos\Component\WebSocketClient\Exception;

class BadResponseException extends \RuntimeException
{
}
