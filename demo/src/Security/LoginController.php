<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Command\PrepareCommand;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Http\Authentication\AuthenticationUtils;

final class LoginController extends AbstractController
{
    /** The form; Symfony's form login does the rest. */
    public function login(AuthenticationUtils $authentication): Response
    {
        if ($this->getUser() !== null) {
            return $this->redirectToRoute('start');
        }

        return $this->render('login.html.twig', [
            'refused' => $authentication->getLastAuthenticationError() !== null,
            'username' => $authentication->getLastUsername(),
            'users' => PrepareCommand::USERS,
            'password' => PrepareCommand::PASSWORD,
        ]);
    }

    /** Where somebody begins who has signed in. */
    public function start(): Response
    {
        return $this->redirectToRoute($this->isGranted('ROLE_SALES') ? 'board' : 'orders');
    }
}
