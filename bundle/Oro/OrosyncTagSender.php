<?php

declare(strict_types=1);

namespace Orosync\Oro;

use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;

/**
 * Holds the tags of a flush until the surrounding transaction commits. Tags of a rollback are never sent.
 *
 * Tags without a flush, such as those of saved settings, are sent at once through Oro's own sender.
 */
final class OrosyncTagSender extends DataUpdateTopicSender
{
    public function __construct(
        private readonly OroTagAnnouncer $announcer,
        private readonly RootTransaction $transaction,
        private readonly CurrentFlush $flush,
    ) {
    }

    /** @return bool true: sent, or held until the commit */
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
