<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * Declares topics at the service that publishes to them, in place of `orosync.topics`:
 *
 *     #[Topic('acme/orders/{uid:int}', subscribe: 'owner')]
 *     final class OrderShipped
 */
#[\Attribute(\Attribute::TARGET_CLASS | \Attribute::IS_REPEATABLE)]
final class Topic
{
    public const SUBSCRIBE = ['anyone', 'customer', 'user', 'owner', 'granted', 'nobody'];
    public const PUBLISH = ['publisher', 'user', 'nobody'];

    /**
     * @param string $pattern   a topic with captures: `acme/orders/{uid:int}`
     * @param string $subscribe who may listen, one of {@see self::SUBSCRIBE}
     * @param string $publish   who may publish, one of {@see self::PUBLISH}; `publisher`: PHP
     */
    public function __construct(
        public readonly string $pattern,
        public readonly string $subscribe,
        public readonly string $publish = 'publisher',
    ) {
    }
}
