<?php

declare(strict_types=1);

namespace Oro\Bundle\SyncBundle\Exception;

class ValidationFailedException extends \RuntimeException
{
}
