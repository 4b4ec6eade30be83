<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;

/**
 * Has tags of a flush wait for the commit of the transaction around it; what is rolled back is never sent.
 *
 * Tags that do not come from a flush (of saved settings, for example) are sent at once, by Oro's own sender as always.
 */
final class OrosyncTagSender extends DataUpdateTopicSender
{
    public function __construct(
        private readonly OroTagAnnouncer $announcer,
        private readonly RootTransaction $transaction,
        private readonly CurrentFlush $flush,
    ) {
    }

    /** @return bool true: sent, or kept for the commit */
    public function send(array $tags): bool
    {
        $tags = array_values($tags);
        $connection = $this->flush->connection();
        if ([] !== $tags && null !== $connection && $this->transaction->hold($connection, $tags)) {
            return true;
        }

        return $this->announcer->send($tags);
    }
}
