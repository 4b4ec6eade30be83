<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * Declares topics at the service that publishes to them, in place of `orosync.topics`:
 *
 *     #[Topic('acme/orders/{uid:int}', subscribe: 'owner')]
 *     #[Topic('acme/sales', subscribe: 'ROLE_SALES')]
 *     #[Topic('acme/order/{order}', voter: 'VIEW', class: Order::class)]
 *     final class OrderShipped
 */
#[\Attribute(\Attribute::TARGET_CLASS | \Attribute::IS_REPEATABLE)]
final class Topic
{
    public const SUBSCRIBE = ['anyone', 'customer', 'user', 'owner', 'granted', 'nobody'];
    public const PUBLISH = ['publisher', 'user', 'nobody'];

    /**
     * @param string                   $pattern   a topic with captures: `acme/orders/{uid:int}`
     * @param string|list<string>|null $subscribe who may listen: one of {@see self::SUBSCRIBE}, a role such as `ROLE_SALES`, or
     *                                            several roles of which one is enough; null: the voter says it
     * @param string                   $publish   who may publish, one of {@see self::PUBLISH}; `publisher`: PHP
     * @param string|null              $voter     what Symfony's voters are asked for, such as `VIEW`, with the object whose id
     *                                            is the pattern's one capture
     * @param class-string|null        $class     with a voter: the class of that object, an entity of Doctrine's
     */
    public function __construct(
        public readonly string $pattern,
        public readonly string|array|null $subscribe = null,
        public readonly string $publish = 'publisher',
        public readonly ?string $voter = null,
        public readonly ?string $class = null,
    ) {
    }
}
