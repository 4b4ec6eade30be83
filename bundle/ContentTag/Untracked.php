<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/**
 * On an entity class whose changes are not announced, such as a log that nobody looks at.
 *
 * The same as naming the class under `orosync.content_tags.skip`. A subclass carries an attribute of its own.
 */
#[\Attribute(\Attribute::TARGET_CLASS)]
final class Untracked
{
}
