<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Command\PrepareCommand;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Http\Authentication\AuthenticationUtils;

/** The form; Symfony's form login does the rest. */
final class LoginController extends AbstractController
{
    public function __invoke(AuthenticationUtils $authentication): Response
    {
        if ($this->getUser() !== null) {
            return $this->redirectToRoute('contacts');
        }

        return $this->render('login.html.twig', [
            'refused' => $authentication->getLastAuthenticationError() !== null,
            'username' => $authentication->getLastUsername(),
            'users' => PrepareCommand::USERS,
            'password' => PrepareCommand::PASSWORD,
        ]);
    }
}
