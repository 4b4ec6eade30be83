<?php

declare(strict_types=1);

namespace Demo\Customer;

use Demo\Deal\DealNews;
use Demo\Entity\Deal;
use Demo\Entity\Stage;
use Demo\Entity\User;
use Doctrine\ORM\EntityManagerInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;

/** The orders page of a customer: the deals of its company. */
final class OrdersController extends AbstractController
{
    public function __invoke(EntityManagerInterface $entityManager): Response
    {
        $user = $this->getUser();
        $company = $user instanceof User ? $user->getCompany() : null;
        if ($company === null) {
            throw $this->createAccessDeniedException('This user belongs to no company.');
        }

        return $this->render('customer/orders.html.twig', [
            'company' => $company,
            'deals' => $entityManager->getRepository(Deal::class)->findBy(['company' => $company], ['id' => 'DESC']),
            'stages' => Stage::cases(),
            'topic' => DealNews::topicOf($company),
        ]);
    }
}
