<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Entity\Role;
use Demo\Entity\User;
use Orosync\Ticket\TopicGrantInterface;
use Orosync\Topic\TopicPattern;
use Symfony\Component\Security\Core\User\UserInterface;

/** Imports are an administrator's: the server knows users and customers, and no roles beyond. */
final class ImportTopics implements TopicGrantInterface
{
    public function topicsFor(UserInterface $user): iterable
    {
        return $user instanceof User && $user->getRole() === Role::Admin ? [new TopicPattern('demo/import/{id:int}')] : [];
    }
}
