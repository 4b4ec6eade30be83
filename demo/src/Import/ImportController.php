<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Entity\Import;
use Demo\Entity\User;
use Doctrine\ORM\EntityManagerInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Messenger\MessageBusInterface;

/** Starts imports of contacts and shows their progress. The worker runs them. */
final class ImportController extends AbstractController
{
    public function __construct(private readonly EntityManagerInterface $entityManager)
    {
    }

    public function list(): Response
    {
        return $this->render('import/list.html.twig', [
            'imports' => $this->entityManager->getRepository(Import::class)->findBy([], ['id' => 'DESC'], 10),
            'total' => SampleRows::TOTAL,
        ]);
    }

    public function start(Request $request, MessageBusInterface $bus): Response
    {
        $user = $this->getUser();
        if (!$user instanceof User || !$this->isCsrfTokenValid('import', $request->request->get('token'))) {
            $this->addFlash('error', 'This page was open for too long. Nothing was imported: please try again.');

            return $this->redirectToRoute('imports');
        }
        $import = new Import(SampleRows::TOTAL, $user->getName(), new \DateTimeImmutable());
        $this->entityManager->persist($import);
        $this->entityManager->flush();
        $bus->dispatch(new RunImport($import->getId()));

        return $this->redirectToRoute('import', ['id' => $import->getId()]);
    }

    public function view(int $id): Response
    {
        $import = $this->find($id);

        return $this->render('import/view.html.twig', [
            'import' => $import,
            'state' => ImportProgress::state($import),
            'topic' => ImportProgress::topicOf($import),
        ]);
    }

    /** The current state, for a page that may have missed events. */
    public function state(int $id): Response
    {
        return $this->json(ImportProgress::state($this->find($id)));
    }

    private function find(int $id): Import
    {
        return $this->entityManager->find(Import::class, $id)
            ?? throw $this->createNotFoundException("There is no import $id.");
    }
}
