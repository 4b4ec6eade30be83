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
 * Binds a ticket to the pages that the old server let in, and to those of the host that was asked for it.
 *
 * No page that worked with the old server may be locked out: where Oro's origins are not known, or are more than a ticket
 * holds, pages of any host may use the ticket, and the log says why.
 */
final class OroTicketOrigins implements TicketOriginsInterface
{
    private const UNBOUND = 'Pages of any host may use this ticket: ';

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
            $this->logger->error(self::UNBOUND . 'Oro\'s origins cannot be read. {reason}', [
                'reason' => $e->getMessage(),
                'exception' => $e,
            ]);

            return [];
        }
        if ([] === $named) {
            $this->logger->warning(self::UNBOUND . 'Oro names no host. Set its application URL, or orosync.ticket.origins.');

            return [];
        }
        $hosts = array_filter([$own, ...array_values($named), ...ApplicationTopics::THIS_MACHINE], self::isHost(...));
        $hosts = array_values(array_unique(array_map(strtolower(...), $hosts)));
        if (\count($hosts) > OriginPattern::MAX_IN_TICKET) {
            $this->logger->warning(
                self::UNBOUND . 'Oro names {count} hosts, and a ticket holds {max}. Set orosync.ticket.origins; there a '
                . 'wildcard such as *.example.com stands for many.',
                ['count' => \count($hosts), 'max' => OriginPattern::MAX_IN_TICKET],
            );

            return [];
        }

        return ['origins' => $hosts];
    }

    /** What is none was never equal to the host of a page. */
    private static function isHost(mixed $origin): bool
    {
        return \is_string($origin) && OriginPattern::accepts($origin);
    }
}
