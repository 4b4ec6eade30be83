<?php

declare(strict_types=1);

namespace Demo\Customer;

use Demo\Deal\DealNews;
use Demo\Entity\User;
use Orosync\Ticket\TopicGrantInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** A customer hears of the orders of its own company: no rule of the server could know which company that is. */
final class OrderTopics implements TopicGrantInterface
{
    public function topicsFor(UserInterface $user): iterable
    {
        $company = $user instanceof User ? $user->getCompany() : null;
        if ($company !== null) {
            yield DealNews::topicOf($company);
        }
    }
}
