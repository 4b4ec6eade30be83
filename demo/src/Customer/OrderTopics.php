<?php

declare(strict_types=1);

namespace Demo\Customer;

use Demo\Deal\DealNews;
use Demo\Entity\User;
use Orosync\Ticket\TopicGrantInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** Grants a customer the topic with the orders of its company. The server's rules cannot know the company. */
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
