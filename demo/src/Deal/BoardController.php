<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Deal;
use Demo\Entity\Stage;
use Demo\Entity\User;
use Doctrine\DBAL\LockMode;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\OptimisticLockException;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** The pipeline: a column for each stage, between which deals are moved. */
final class BoardController extends AbstractController
{
    public function __construct(
        private readonly EntityManagerInterface $entityManager,
        private readonly DealNews $news,
    ) {
    }

    public function board(): Response
    {
        $deals = $this->entityManager->getRepository(Deal::class)->createQueryBuilder('deal')
            ->join('deal.company', 'company')->addSelect('company')
            ->orderBy('deal.value', 'DESC')->addOrderBy('deal.id')
            ->getQuery()->getResult();

        return $this->render('deal/board.html.twig', ['stages' => Stage::cases(), 'deals' => $deals]);
    }

    /** Answers the board's script with JSON, and a form (without JavaScript) with the board. */
    public function move(int $id, Request $request): Response
    {
        $stage = Stage::tryFrom((string) $request->request->get('stage'));
        $deal = $this->entityManager->find(Deal::class, $id);
        if ($stage === null || !$this->isCsrfTokenValid('move', $request->request->get('token'))) {
            return $this->answer($request, $deal, Response::HTTP_BAD_REQUEST);
        }
        if ($deal === null) {
            return $this->answer($request, null, Response::HTTP_NOT_FOUND);
        }
        $draft = $deal->draft();
        $draft->stage = $stage;
        try {
            $this->entityManager->lock($deal, LockMode::OPTIMISTIC, $request->request->getInt('version'));
        } catch (OptimisticLockException) {
            return $this->answer($request, $deal, Response::HTTP_CONFLICT);
        }
        $moved = $deal->change($draft, $this->author(), new \DateTimeImmutable());
        try {
            $this->entityManager->flush();
        } catch (OptimisticLockException) {
            // Another user saved first. The redirect repeats the request, which is then compared with that save.
            return $this->redirect($request->getUri(), Response::HTTP_TEMPORARY_REDIRECT);
        }
        if ($moved) {
            $this->news->publish($deal);
        }

        return $this->answer($request, $deal, Response::HTTP_OK);
    }

    /** @param Deal|null $deal in its current state; null: deleted */
    private function answer(Request $request, ?Deal $deal, int $status): Response
    {
        if ($request->getPreferredFormat() === 'json') {
            return $this->json($deal === null ? null : DealNews::card($deal), $status);
        }
        if ($status !== Response::HTTP_OK) {
            $this->addFlash('error', 'The deal was not moved: somebody changed it meanwhile. This is the current state.');
        }

        return $this->redirectToRoute('board');
    }

    private function author(): string
    {
        $user = $this->getUser();

        return $user instanceof User ? $user->getName() : throw new \LogicException('Only users move deals.');
    }
}
