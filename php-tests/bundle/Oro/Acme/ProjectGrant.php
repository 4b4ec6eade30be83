<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Orosync\Ticket\TopicGrantInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** Replaces ProjectTopic::secure(). */
final class ProjectGrant implements TopicGrantInterface
{
    public function topicsFor(UserInterface $user): iterable
    {
        yield 'acme/project/' . $user->getId();
    }
}
