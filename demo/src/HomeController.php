<?php

declare(strict_types=1);

namespace Demo;

use Demo\Entity\Contact;
use Demo\Entity\Deal;
use Doctrine\ORM\EntityManagerInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;

/** The public page, which shows data without a login. */
final class HomeController extends AbstractController
{
    public function __invoke(EntityManagerInterface $entityManager): Response
    {
        return $this->render('home.html.twig', [
            'contacts' => $entityManager->getRepository(Contact::class)->count([]),
            'deals' => $entityManager->getRepository(Deal::class)->count([]),
        ]);
    }
}
