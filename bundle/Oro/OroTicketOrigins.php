<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Authentication\Origin\OriginProviderInterface;
use Orosync\Oro\Topics\ApplicationTopics;
use Orosync\Ticket\OriginPattern;
use Orosync\Ticket\TicketOriginsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * Binds a ticket to the origins that Oro's old server allowed and to the host of the ticket request.
 *
 * No page that worked with Oro's old server may be locked out. If Oro's origins are unknown, or more than a ticket can hold, the
 * ticket is not bound, and the reason is logged.
 */
final class OroTicketOrigins implements TicketOriginsInterface
{
    private const UNBOUND = 'The ticket is valid for pages of any host: ';

    public function __construct(
        private readonly OriginProviderInterface $origins,
        private readonly RequestStack $requests,
        private readonly LoggerInterface $logger,
    ) {
    }

    public function claim(): array
    {
        try {
            $own = $this->requests->getMainRequest()?->getHost();
            $named = array_filter($this->origins->getOrigins(), self::isHost(...));
        } catch (\Throwable $e) {
            $this->logger->error(self::UNBOUND . 'Oro\'s origins cannot be read: {reason}', [
                'reason' => $e->getMessage(),
                'exception' => $e,
            ]);

            return [];
        }
        if ([] === $named) {
            $this->logger->warning(self::UNBOUND . 'Oro has no configured host. Set its application URL, or orosync.ticket.origins.');

            return [];
        }
        $hosts = array_filter([$own, ...array_values($named), ...ApplicationTopics::THIS_MACHINE], self::isHost(...));
        $hosts = array_values(array_unique(array_map(strtolower(...), $hosts)));
        if (\count($hosts) > OriginPattern::MAX_IN_TICKET) {
            $this->logger->warning(
                self::UNBOUND . 'Oro has {count} hosts, a ticket holds {max}. Set orosync.ticket.origins; a '
                . 'wildcard such as *.example.com covers several.',
                ['count' => \count($hosts), 'max' => OriginPattern::MAX_IN_TICKET],
            );

            return [];
        }

        return ['origins' => $hosts];
    }

    /** Other values never matched the host of a page. */
    private static function isHost(mixed $origin): bool
    {
        return \is_string($origin) && OriginPattern::accepts($origin);
    }
}
