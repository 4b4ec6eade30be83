<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Company;
use Demo\Entity\Deal;
use Orosync\Publishing\PublisherInterface;

/**
 * Publishes changes of deals to the boards of the back office and to the customer, each with the fields that they may see. Call
 * it after the commit, so that pages that reload find the change.
 */
final class DealNews
{
    /** Topic of the back office: config/packages.php. */
    public const BOARD = 'demo/board';

    public function __construct(private readonly PublisherInterface $publisher)
    {
    }

    /** Topic of a customer, granted by Customer/OrderTopics.php. */
    public static function topicOf(Company $company): string
    {
        return "demo/orders/{$company->getId()}";
    }

    public function publish(Deal $deal): void
    {
        $this->publisher->publish(self::BOARD, self::card($deal));
        $this->publisher->publish(self::topicOf($deal->getCompany()), [
            'id' => $deal->getId(),
            'name' => $deal->getName(),
            'value' => $deal->getValue(),
            'stage' => $deal->getStage()->value,
        ]);
    }

    /** A deleted deal. Boards are notified through the collection tag of deals. */
    public function tellDeleted(Deal $deal, int $id): void
    {
        $this->publisher->publish(self::topicOf($deal->getCompany()), [
            'id' => $id,
            'name' => $deal->getName(),
            'value' => $deal->getValue(),
            'stage' => null,
        ]);
    }

    /** @return array<string, int|string|null> fields for the board */
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
