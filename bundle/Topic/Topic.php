<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * Declares a topic on the service that publishes to it, instead of in `orosync.topics`:
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
     * @param string|list<string>|null $subscribe who may subscribe: one of {@see self::SUBSCRIBE}, a role such as `ROLE_SALES`, or
     *   several roles, one of which is enough; null: the voter decides
     * @param string                   $publish   who may publish, one of {@see self::PUBLISH}; `publisher`: PHP
     * @param string|null              $voter     attribute for Symfony's voters, such as `VIEW`; the subject is the object
     *                                            whose id is the pattern's only capture
     * @param class-string|null        $class     with a voter: the Doctrine entity class of the subject
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
