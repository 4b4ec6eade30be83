<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/**
 * Marks an entity class whose changes are not announced, such as an audit log.
 *
 * Equivalent to an entry in `orosync.content_tags.skip`. Not inherited: a subclass needs its own attribute.
 */
#[\Attribute(\Attribute::TARGET_CLASS)]
final class Untracked
{
}
