<?php

declare(strict_types=1);

namespace Demo\Security;

use Demo\Command\PrepareCommand;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Http\Authentication\AuthenticationUtils;

final class LoginController extends AbstractController
{
    /** Shows the form; Symfony's form login handles it. */
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

    /** The first page after signing in. */
    public function start(): Response
    {
        return $this->redirectToRoute($this->isGranted('ROLE_SALES') ? 'board' : 'orders');
    }
}
