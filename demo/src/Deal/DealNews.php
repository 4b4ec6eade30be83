<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Company;
use Demo\Entity\Deal;
use Orosync\Publishing\PublisherInterface;

/**
 * Tells open pages what has become of a deal: all boards of the back office, and the customer whose deal it is. Each gets
 * what it may know. Call it after the commit: who asks at once must find what was told.
 */
final class DealNews
{
    /** For the back office: config/packages.php. */
    public const BOARD = 'demo/board';

    public function __construct(private readonly PublisherInterface $publisher)
    {
    }

    /** For whom it was granted: Customer/OrderTopics.php. */
    public static function topicOf(Company $company): string
    {
        return "demo/orders/{$company->getId()}";
    }

    public function tell(Deal $deal): void
    {
        $this->publisher->publish(self::BOARD, self::card($deal));
        $this->publisher->publish(self::topicOf($deal->getCompany()), [
            'id' => $deal->getId(),
            'name' => $deal->getName(),
            'value' => $deal->getValue(),
            'stage' => $deal->getStage()->value,
        ]);
    }

    /** The boards hear of it by the content tag of all deals. */
    public function tellDeleted(Deal $deal, int $id): void
    {
        $this->publisher->publish(self::topicOf($deal->getCompany()), [
            'id' => $id,
            'name' => $deal->getName(),
            'value' => $deal->getValue(),
            'stage' => null,
        ]);
    }

    /** @return array<string, int|string|null> what a board shows of it */
    public static function card(Deal $deal): array
    {
        return [
            'id' => $deal->getId(),
            'version' => $deal->getVersion(),
            'name' => $deal->getName(),
            'company' => $deal->getCompany()->getName(),
            'value' => $deal->getValue(),
            'stage' => $deal->getStage()->value,
            'savedBy' => $deal->getSavedBy(),
        ];
    }
}
