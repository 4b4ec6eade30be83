<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Entity\Role;
use Demo\Entity\User;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Topic\TopicPattern;
use Symfony\Component\Security\Core\User\UserInterface;

/** Grants administrators the topics of imports: the server itself knows only users and customers. */
final class ImportTopics implements TopicGrantInterface
{
    public function topicsFor(UserInterface $user): iterable
    {
        return $user instanceof User && $user->getRole() === Role::Admin ? [new TopicPattern('demo/import/{id:int}')] : [];
    }
}
